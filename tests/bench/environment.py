"""Where the processes of the benchmark run, and in which environment."""

import os
from pathlib import Path

from .setups import Setup
from .sink import Sink

__all__ = ["ROOT", "ROUTES_VARIABLE", "SETUP_VARIABLE", "environment"]

ROOT = Path(__file__).parents[2]
"""Folder that the processes are started in."""

ROUTES_VARIABLE = "BENCH_ROUTES"
"""How many routes the application has."""

SETUP_VARIABLE = "BENCH_SETUP"
"""Name of the set-up that a server serves."""


def environment(setup: Setup, sink: Sink) -> dict[str, str]:
    """Make the environment of a set-up's process, without telemetry variables of the machine's own.

    Args:
        setup: What will run.
        sink: Where it exports to.

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
        # The same for all; else those that export seldom (the SDK's default is 60 s) would have less to do.
        "OTEL_METRIC_EXPORT_INTERVAL": "10000",
        **setup.variables,
    }
