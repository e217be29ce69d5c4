"""`python -m tests.bench`: what instrumentation and gateway cost, as ratios against peers of the same run."""

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from . import in_process, servers
from .document import write
from .effort import Effort
from .environment import ROOT
from .gateway.run import run as run_gateway
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

GATEWAY = "gateway"
"""The part that isn't about instrumentation, and has a page of its own."""

QUICK = Effort(batch=100, batches=1, blocks=2, workloads=WORKLOADS[-1:], export_interval_s=1)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name in arguments.only:
        if name not in {*PARTS, GATEWAY} and not any(fnmatchcase(setup.name, name) for setup in SETUPS):
            parser.error(f"--only {name}: neither a part nor a set-up")
    instrumentation = [name for name in arguments.only if name != GATEWAY]
    if arguments.write == DOCS and (instrumentation or arguments.quick):
        parser.error("--write: docs/benchmarks.md is of a whole run; give a folder for a part of one")
    if arguments.profile is not None:
        (setup,) = [setup for setup in SETUPS if setup.name == arguments.profile]
        sys.stdout.write(in_process.profile(setup, arguments.requests))
        return
    wrong = []
    if instrumentation or not arguments.only:
        wrong += _run_instrumentation(instrumentation, arguments.write, quick=arguments.quick)
    if GATEWAY in arguments.only or not arguments.only:
        wrong += run_gateway(quick=arguments.quick, folder=arguments.write)
    if wrong:
        sys.exit("\n".join(["", "Not everything was recorded once:", *wrong]))


def _run_instrumentation(only: list[str], folder: Path | None, *, quick: bool) -> list[str]:
    parts = [_run(key, only, quick=quick) for key in _chosen(only)]
    for part in parts:
        sys.stdout.write(f"{part_tables(part)}\n\n")
    sys.stdout.write(f"{target_table(findings(parts))}\n")
    if folder is not None:
        write(parts, folder)
    return deliveries_wrong(parts)


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
        help=f"a part ({', '.join(PARTS)}, {GATEWAY}) or set-ups ('fastapi/ansflow*'); may be repeated",
    )
    parser.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=DOCS,
        metavar="FOLDER",
        help="write benchmarks.md, benchmarks.svg and benchmarks-gateway.md (default folder: docs)",
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
