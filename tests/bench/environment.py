"""Where the processes of the benchmark run, and in which environment."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from .setups import Setup
from .sink import Sink

__all__ = ["ROOT", "ROUTES_VARIABLE", "SETUP_VARIABLE", "environment", "state_folder"]

ROOT = Path(__file__).parents[2]
"""Folder that the processes are started in."""

ROUTES_VARIABLE = "BENCH_ROUTES"
"""How many routes the application has."""

SETUP_VARIABLE = "BENCH_SETUP"
"""Name of the set-up that a server serves."""


def state_folder() -> "TemporaryDirectory[str]":
    """Make a folder for the state of one process: in memory where there is such a place, as by default.

    Returns:
        The folder, which is removed when its context ends.
    """
    memory = Path("/dev/shm")  # noqa: S108 # the folder in it is made safely
    return TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)


def environment(setup: Setup, sink: Sink, export_interval_s: int, state: Path) -> dict[str, str]:
    """Make the environment of a set-up's process, without telemetry variables of the machine's own.

    Args:
        setup: What will run.
        sink: Where it exports to.
        export_interval_s: Seconds between two exports of metrics.
        state: A folder of this process's own: ours goes on from the sums of the run before it, else.

    Returns:
        The whole environment.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "ANSFLOW_", "_ANSFLOW", "FASTAPI_", "DJANGO_", "PROMETHEUS_"))
    }
    return {
        **inherited,
        "OTEL_SERVICE_NAME": "bench",
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
        # Batches come faster than any real traffic: nobody may save work by dropping spans.
        "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
        "OTEL_METRIC_EXPORT_INTERVAL": str(export_interval_s * 1000),
        "ANSFLOW_STATE_DIR": str(state),
        **setup.variables,
    }
