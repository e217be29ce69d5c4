"""One process with one set-up, in which the application is called without a server.

Each line of standard input is a command, and is answered with one line of JSON:

    serve last 200      CPU seconds of the serving thread: {"thread_s": ...}
    serve spread 200    likewise
    export              sends what was recorded: {"process_s": ...}, CPU seconds of the process so far
    counted             {"requests": ...} that the process itself has counted, or null
    profile last 200    {"profile": "..."}, a text
"""

import cProfile
import io
import itertools
import json
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import django_application, fastapi_application
from .setups import SETUPS, Framework, Setup
from .telemetry import Export, prometheus_count
from .workloads import Workload

PROFILED_FUNCTIONS = 45


def main() -> None:
    """Answer commands until standard input ends."""
    name, routes = sys.argv[1], int(sys.argv[2])
    (setup,) = [setup for setup in SETUPS if setup.name == name]
    serve, export = _start(setup, routes)
    paths = {
        "last": Workload(routes, spread=False).paths(),
        "spread": Workload(routes, spread=True).paths(),
    }
    for line in sys.stdin:
        answer: dict[str, Any]
        match line.split():
            case ["serve", pattern, requests]:
                answer = {"thread_s": serve([*itertools.islice(paths[pattern], int(requests))])}
            case ["export"]:
                export()
                answer = {"process_s": time.process_time()}
            case ["counted"]:
                answer = {"requests": _counted(setup.histogram)}
            case ["profile", pattern, requests]:
                answer = {"profile": _profile(serve, [*itertools.islice(paths[pattern], int(requests))])}
            case _:
                raise ValueError(f"not a command: {line!r}")
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _start(setup: Setup, routes: int) -> tuple[Callable[[Sequence[str]], float], Export]:
    match setup.framework:
        case Framework.FASTAPI:
            app, export = fastapi_application.start(setup.instrumentation, routes)
            return (lambda paths: fastapi_application.serve(app, paths)), export
        case Framework.DJANGO:
            handler, export = django_application.start(setup.instrumentation, routes)
            return (lambda paths: django_application.serve(handler, paths)), export


def _counted(histogram: str | None) -> int | None:
    if histogram is None:
        return None
    from prometheus_client import generate_latest  # only where it is measured

    return prometheus_count(generate_latest().decode(), histogram)


def _profile(serve: Callable[[Sequence[str]], float], paths: Sequence[str]) -> str:
    """Profile the serving thread, by the wall clock; small calls look dearer than they are."""
    profile = cProfile.Profile()
    profile.runcall(serve, paths)
    output = io.StringIO()
    statistics = pstats.Stats(profile, stream=output)
    statistics.sort_stats("tottime").print_stats(PROFILED_FUNCTIONS)
    statistics.sort_stats("cumulative").print_stats(PROFILED_FUNCTIONS)
    return output.getvalue()


if __name__ == "__main__":
    main()
