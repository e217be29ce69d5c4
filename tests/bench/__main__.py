"""`python -m tests.bench`: what a request costs in CPU time, bare and instrumented, as a table of ratios."""

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from . import in_process, servers
from .document import write
from .effort import Effort
from .environment import ROOT
from .results import Part, deliveries_wrong
from .setups import BARE, SETUPS, Framework, setups_of
from .tables import part_tables, target_table
from .targets import findings
from .workloads import WORKLOADS

DOCS = ROOT / "docs"

PARTS = {
    "fastapi": (Framework.FASTAPI, in_process.measure, Effort(batch=200, batches=5, blocks=10)),
    "django": (Framework.DJANGO, in_process.measure, Effort(batch=200, batches=5, blocks=10)),
    "fastapi-server": (Framework.FASTAPI, servers.measure, Effort(batch=250, batches=8, blocks=5)),
    "django-server": (Framework.DJANGO, servers.measure, Effort(batch=250, batches=8, blocks=5)),
}
"""What is run, by its name: of which framework, how, and how much of it."""

QUICK = Effort(batch=100, batches=1, blocks=2, workloads=WORKLOADS[-1:], export_interval_s=1)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name in arguments.only:
        if name not in PARTS and not any(fnmatchcase(setup.name, name) for setup in SETUPS):
            parser.error(f"--only {name}: neither a part nor a set-up")
    if arguments.write == DOCS and (arguments.only or arguments.quick):
        parser.error("--write: docs/benchmarks.md is of a whole run; give a folder for a part of one")
    if arguments.profile is not None:
        (setup,) = [setup for setup in SETUPS if setup.name == arguments.profile]
        sys.stdout.write(in_process.profile(setup, arguments.requests))
        return
    parts = [_run(key, arguments.only, quick=arguments.quick) for key in _chosen(arguments.only)]
    for part in parts:
        sys.stdout.write(f"{part_tables(part)}\n\n")
    sys.stdout.write(f"{target_table(findings(parts))}\n")
    if arguments.write is not None:
        write(parts, arguments.write)
    wrong = deliveries_wrong(parts)
    if wrong:
        sys.exit("\n".join(["", "Not everything was recorded once:", *wrong]))


def _run(key: str, only: list[str], *, quick: bool) -> Part:
    framework, measure, effort = PARTS[key]
    patterns = [name for name in only if name not in PARTS]
    chosen = [
        setup
        for setup in setups_of(framework)
        if setup.key == BARE or not patterns or any(fnmatchcase(setup.name, name) for name in patterns)
    ]
    return measure(framework, chosen, QUICK if quick else effort)


def _chosen(only: list[str]) -> list[str]:
    """Choose the parts: those named, or the in-process ones of the set-ups that are named alone, or all."""
    if not only:
        return list(PARTS)
    if named := [key for key in PARTS if key in only]:
        return named
    return [
        framework.value
        for framework in Framework
        if any(fnmatchcase(setup.name, name) for setup in setups_of(framework) for name in only)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a part ({', '.join(PARTS)}) or set-ups ('fastapi/ansflow*'); may be repeated",
    )
    parser.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=DOCS,
        metavar="FOLDER",
        help="write benchmarks.md and benchmarks.svg (default folder: docs)",
    )
    parser.add_argument("--quick", action="store_true", help="a few requests each: the figures mean nothing")
    parser.add_argument(
        "--profile",
        metavar="SETUP",
        choices=[setup.name for setup in SETUPS],
        help="profile one set-up's serving thread, and measure nothing",
    )
    parser.add_argument("--requests", type=int, default=5000, help="with --profile (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
