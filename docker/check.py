"""Everything about `docker/` that can be checked without a container engine, as one command.

Run from anywhere: `python docker/check.py`. Each check is a command line that is printed before it runs, so
that it can be repeated by hand. promtool and amtool are looked for in ANSFLOW_PROMTOOL and ANSFLOW_AMTOOL,
else in `bin` of the cache (ANSFLOW_CACHE_DIR, or `.cache`); without them their checks are skipped, or fail
where `CI=true`.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

DASHBOARDS = Path("docker/grafana")
PROMETHEUS = Path("docker/prometheus")
ALERTMANAGER = Path("docker/alertmanager/alertmanager.yml")


@dataclass(frozen=True)
class Check:
    """One command.

    Attributes:
        command: What to run, from the repository's root.
        tool: The binary that it needs, None for Python.
        import_path: A folder for PYTHONPATH, for a package that isn't installed.
    """

    command: Sequence[str]
    tool: str | None = None
    import_path: Path | None = None


def checks(root: Path = ROOT) -> list[Check]:
    """Return every check, the quick ones first."""
    rules = [str(path.relative_to(root)) for path in sorted((root / PROMETHEUS / "rules").glob("*.yml"))]
    tests = [str(path.relative_to(root)) for path in sorted((root / PROMETHEUS / "tests").glob("*.yml"))]
    return [
        Check([sys.executable, "-m", "ansflow_stack.checks.compose_check", "docker/compose.yaml"]),
        Check([sys.executable, "-m", "ansflow_dashboards", "--check"], import_path=DASHBOARDS),
        Check(["promtool", "check", "rules", "--lint=all", "--lint-fatal", *rules], tool="promtool"),
        Check(["promtool", "check", "config", str(PROMETHEUS / "prometheus.yml")], tool="promtool"),
        Check(["promtool", "test", "rules", *tests], tool="promtool"),
        Check(["amtool", "check-config", str(ALERTMANAGER)], tool="amtool"),
    ]


def find_tool(name: str, environment: Mapping[str, str], root: Path = ROOT) -> Path | None:
    """Return the binary's path, None where there is none."""
    cache = Path(environment.get("ANSFLOW_CACHE_DIR") or root / ".cache")
    path = Path(environment.get(f"ANSFLOW_{name.upper()}") or cache / "bin" / name)
    return path if path.is_file() else None


def run(check: Check, environment: Mapping[str, str], root: Path = ROOT) -> bool:
    """Run one check, its output going to this process's own; returns whether it may pass.

    A check whose tool is missing passes, with a line that says so, unless `CI` is `true`.
    """
    sys.stdout.write(f"$ {' '.join(check.command)}\n")
    sys.stdout.flush()
    command = list(check.command)
    if check.tool:
        binary = find_tool(check.tool, environment, root)
        if binary is None:
            in_ci = environment.get("CI") == "true"
            sys.stdout.write(f"  {check.tool} is not there: {'a failure in CI' if in_ci else 'skipped'}\n")
            return not in_ci
        command[0] = str(binary)
    variables = dict(environment)
    if check.import_path:
        variables["PYTHONPATH"] = str(root / check.import_path)
    return subprocess.run(command, cwd=root, env=variables, check=False).returncode == 0


def main() -> int:
    """Run all checks, also after one that failed; returns the exit status."""
    results = [run(check, os.environ) for check in checks()]
    failed = results.count(False)
    sys.stdout.write(f"docker/: {len(results) - failed} of {len(results)} checks passed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
