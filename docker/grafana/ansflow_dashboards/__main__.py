"""Command line: write the dashboards' JSON, or check that the committed JSON is what the code makes."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from .catalogue import DASHBOARDS

DIRECTORY = Path(__file__).parents[1] / "dashboards"
"""What Grafana's container mounts."""


def render(dashboard: Dashboard) -> str:
    """Return the dashboard as JSON with sorted keys, so that equal dashboards are equal files."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def differences(directory: Path) -> list[str]:
    """Return one sentence for each file in the directory that is missing, stale, or made by no dashboard."""
    wanted = {directory / f"{board.uid}.json": render(board) for board in DASHBOARDS}
    found = set(directory.glob("*.json"))
    problems = [f"{path.name}: not written yet" for path in sorted(wanted.keys() - found)]
    problems += [f"{path.name}: made by no dashboard" for path in sorted(found - wanted.keys())]
    problems += [
        f"{path.name}: differs from what the code makes"
        for path in sorted(found & wanted.keys())
        if path.read_text(encoding="utf-8") != wanted[path]
    ]
    return problems


def write(directory: Path) -> None:
    """Write every dashboard to the directory and remove JSON that no dashboard makes."""
    directory.mkdir(parents=True, exist_ok=True)
    for stale in directory.glob("*.json"):
        stale.unlink()
    for board in DASHBOARDS:
        (directory / f"{board.uid}.json").write_text(render(board), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 1 if `--check` found a difference.
    """
    parser = argparse.ArgumentParser(prog="python -m ansflow_dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing, exit 1 on a difference")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where the JSON is")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.directory)
        return 0
    problems = differences(options.directory)
    for problem in problems:
        sys.stderr.write(f"{problem}; run python -m ansflow_dashboards\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
