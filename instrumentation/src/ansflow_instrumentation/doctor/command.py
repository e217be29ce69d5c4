"""The command line of `ansflow-instrument`."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from ansflow_instrumentation.configuration.kinds import PROPAGATORS_VARIABLE, unknown_propagator
from ansflow_instrumentation.configuration.variables import VARIABLES
from ansflow_instrumentation.version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What follows the program's name; the process's own by default.

    Returns:
        The exit status: 0 where all is well, 1 where something is to be mended, 2 for a wrong command line.
    """
    parser = argparse.ArgumentParser(
        prog="ansflow-instrument", description="Telemetry of a service, without a line of it changed."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="command", required=True)

    doctor = commands.add_parser(
        "doctor",
        help="say what is instrumented, by whom, what is not and why, and whether the Collector answers",
        description="Sets telemetry up as an application here would, and says what came of it. "
        "Exit status 1 if something is to be mended.",
    )
    doctor.add_argument("--json", action="store_true", help="write JSON")
    doctor.add_argument("--all", action="store_true", help="list also what has no library to instrument")
    doctor.add_argument("--offline", action="store_true", help="do not ask the endpoints")
    doctor.set_defaults(run=_doctor)

    env = commands.add_parser(
        "env",
        help="list the variables that are in force, and who set them",
        description="Lists the variables of telemetry that an application here would have: yours, the "
        "configuration file's, and the distro's defaults. Secrets are hidden.",
    )
    env.add_argument("--json", action="store_true", help="write JSON")
    env.add_argument("--known", action="store_true", help="list the distro's own variables, set or not")
    env.set_defaults(run=_env)

    run = commands.add_parser(
        "run",
        help="run a command as opentelemetry-instrument does, with this distro",
        description="Runs a command under opentelemetry-instrument, with this distro wherever "
        "OTEL_PYTHON_DISTRO does not name another one.",
    )
    run.add_argument("program", help="a program on PATH")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    run.set_defaults(run=_run)

    parsed = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.run
    return command(parsed)


def _write(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


@contextmanager
def _importable_api() -> Iterator[None]:
    """Let the block import OpenTelemetry's API, which cannot be imported with an unknown propagator."""
    unknown = unknown_propagator(os.environ)
    value = os.environ.pop(PROPAGATORS_VARIABLE) if unknown else ""
    try:
        yield
    finally:
        if unknown:
            os.environ[PROPAGATORS_VARIABLE] = value


def _doctor(parsed: argparse.Namespace) -> int:
    with _importable_api():
        from ansflow_instrumentation.doctor.diagnosis import diagnose
        from ansflow_instrumentation.doctor.report import report

    diagnosis = diagnose(os.environ, ask_endpoints=not parsed.offline)
    _write([diagnosis.as_json()] if parsed.json else report(diagnosis, everything=parsed.all))
    return 0 if diagnosis.healthy else 1


def _env(parsed: argparse.Namespace) -> int:
    if parsed.known:
        _write(f"{name:<38} {meaning}" for name, meaning in VARIABLES.items())
        return 0
    with _importable_api():
        from ansflow_instrumentation.doctor.settings import effective_settings

    settings = effective_settings(os.environ)
    if parsed.json:
        _write([json.dumps([asdict(setting) for setting in settings], indent=2)])
    else:
        _write(f"{setting.origin:<8} {setting.name}={setting.value}" for setting in settings)
    return 0


def _run(parsed: argparse.Namespace) -> int:
    if shutil.which(parsed.program) is None:
        sys.stderr.write(f"ansflow-instrument: {parsed.program!r} is not a program on PATH\n")
        return 127
    from opentelemetry.instrumentation.auto_instrumentation import run

    os.environ.setdefault("OTEL_PYTHON_DISTRO", "ansflow")
    sys.argv = ["opentelemetry-instrument", parsed.program, *parsed.arguments]
    run()  # this process becomes the program
    return 0
