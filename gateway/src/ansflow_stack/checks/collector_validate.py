"""Validates every combination of the Collector's configuration files that can be run.

``python -m ansflow_stack.checks.collector_validate`` prints a line a combination, after the lint of our own
and ``otelcol validate`` have seen it; it exits with 1 if one is refused, with 2 if there is no Collector
to ask.
"""

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from ansflow_stack.build.checkout import Checkout
from ansflow_stack.checks.collector_config import ConfigError, load
from ansflow_stack.checks.collector_lint import lint

BASE = "base.yaml"
"""Is in every combination."""

SIGNALS = ("signals-none.yaml", "signals-file.yaml", "signals-otlp.yaml")
"""Exactly one is in every combination."""

OPTIONAL = ("published-names.yaml",)
"""Overlays that any combination may have or not."""

_VALIDATE_SECONDS = 60


@dataclass(frozen=True)
class Combination:
    """Configuration files that are run together, in this order."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return " + ".join(name.removesuffix(".yaml") for name in self.names)

    def files(self, folder: Path) -> list[Path]:
        """Return the files' paths."""
        return [folder / name for name in self.names]


def combinations() -> list[Combination]:
    """Return every combination that can be run."""
    overlays = [
        names for count in range(len(OPTIONAL) + 1) for names in itertools.combinations(OPTIONAL, count)
    ]
    return [Combination((BASE, signals, *names)) for signals in SIGNALS for names in overlays]


def complaints(combination: Combination, folder: Path, otelcol: Path) -> list[str]:
    """Return what is wrong with a combination: the lint's findings, then the Collector's own words.

    Raises:
        ConfigError: a file can't be read.
        OSError: the Collector can't be started.
        subprocess.TimeoutExpired: it did not end.
    """
    files = combination.files(folder)
    found = [str(finding) for finding in lint(load(files))]
    command = [str(otelcol), "validate", *(part for file in files for part in ("--config", str(file)))]
    # By the defaults alone, as the lint: a variable of this shell is not part of what is validated.
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSFLOW_")}
    answer = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=_VALIDATE_SECONDS, check=False
    )
    said = (answer.stderr + answer.stdout).strip()
    if answer.returncode or said:
        # It is silent when all is well; whatever it says is worth stopping for.
        found += said.splitlines() or [f"otelcol validate ended with {answer.returncode}"]
    return found


def find_otelcol(checkout: Checkout, env: Mapping[str, str]) -> Path:
    """Return the Collector's binary: ``ANSFLOW_OTELCOL``, else the built one.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = Path(env.get("ANSFLOW_OTELCOL") or checkout.binaries / "ansflow-otelcol")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run `ansflow collector build`, or set ANSFLOW_OTELCOL")
    return path


@click.command()
@click.option("--otelcol", type=click.Path(path_type=Path), help="The Collector's binary.")
def main(otelcol: Path | None) -> None:
    """Lint and validate every combination of the Collector's configuration files."""
    try:
        checkout = Checkout.find()
        binary = otelcol or find_otelcol(checkout, os.environ)
        refused = 0
        for combination in combinations():
            found = complaints(combination, checkout.manifest.parent, binary)
            click.echo(f"{'FAIL' if found else 'ok  '} {combination}")
            for line in found:
                click.echo(f"     {line}")
            refused += bool(found)
    except (ConfigError, OSError, subprocess.TimeoutExpired) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
