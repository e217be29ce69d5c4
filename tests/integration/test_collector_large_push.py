"""A push that is larger than what a real Collector takes in one request."""

import time
from pathlib import Path

import pytest
from ansflow_gateway.exporters.otlp import build_push_reader
from ansflow_gateway.exporters.table_metrics import TableMetrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from support.collector import run_collector
from support.polling import poll_until
from support.programs import get
from support.tables import CALLS, empty_table

pytestmark = pytest.mark.integration

SERIES = 40_000
LABEL = 512
"""Characters of a label: with these, all series come to more than the 20 MiB that a Collector takes."""


def test_every_series_of_a_push_beyond_a_collectors_limit_is_served(tmp_path: Path) -> None:
    """All of them come in one push, none is refused, and the Collector serves each."""
    table = empty_table(SERIES)
    with table.lock:
        for number in range(SERIES):
            table.add(CALLS, (f"{number:0{LABEL}}", "success"), 1, time.time())
    resource = Resource({"service.name": "gateway", "service.instance.id": "one"})
    metrics = TableMetrics(table, resource, InstrumentationScope("scope"), time.time())
    with run_collector(["signals-file"], tmp_path) as collector:
        reader, exporter = build_push_reader(f"{collector.endpoint}/v1/metrics", 3600.0, metrics)
        provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
        provider.shutdown(timeout_millis=60_000)
        assert (exporter.state.failures, exporter.state.problem) == (0, None)

        def all_served() -> None:
            page = get(f"http://127.0.0.1:{collector.metrics}/metrics")
            assert page.count("\ntest_calls_total{") == SERIES

        poll_until(all_served, timeout=60)
