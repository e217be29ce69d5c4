"""What an application records with prometheus_client, scraped from a real Collector and from itself."""

from pathlib import Path

import pytest
from support.collector import Collector, Exposition
from support.instrumented_service import run_python
from support.otlp_receiver import OtlpReceiver

pytestmark = pytest.mark.integration

RECORDED = """
import os, signal
from opentelemetry.metrics import get_meter_provider
from prometheus_client import REGISTRY, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.openmetrics.exposition import generate_latest

Counter("bridged_orders_total", "Orders taken", ["kind"]).labels("online").inc(2.5)
Counter("bridged_cpu", "CPU", unit="seconds").inc(3)
Gauge("bridged_temperature_celsius", "Temperature").set(-3.5)
Gauge("bridged_fill_ratio", "Fill").set(0.5)
Gauge("bridged_queue", "Queue", unit="jobs").set(7)
wait = Histogram("bridged_wait_seconds", "Wait", ["route"], buckets=(0.1, 1, 10))
for value in (0.05, 0.5, 5, 50): wait.labels("/a").observe(value)
Summary("bridged_size_bytes", "Size").observe(100)
Info("bridged_build", "Build").info({"version": "1.4"})
Enum("bridged_gate", "Gate", states=["open", "shut"]).state("shut")
print(generate_latest(REGISTRY).decode(), end="", flush=True)
get_meter_provider().force_flush()
os.kill(os.getpid(), signal.SIGKILL)  # a process that takes its leave takes its gauges with it
"""


def test_names_and_values_are_those_of_the_application_s_own_endpoint(
    collector: Collector, tmp_path: Path
) -> None:
    """Each series that the application would serve itself is served by the Collector, with its value."""
    variables = {
        "ANSFLOW_PROMETHEUS_BRIDGE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_SERVICE_NAME": "bridged",
    }
    with OtlpReceiver() as elsewhere:
        finished = run_python(RECORDED, elsewhere, tmp_path, variables=variables)
    own = _series(Exposition.parse(finished.stdout))
    served = _series(collector.scrape())
    # A summary is served as a histogram without bounds, which has one bucket more.
    assert {key: served.get(key) for key in own} == own
    assert {name for name, _ in served} - {name for name, _ in own} == {"bridged_size_bytes_bucket"}


def _series(exposition: Exposition) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    added = ("job", "instance", "otel_scope_name", "otel_scope_version", "otel_scope_schema_url")
    return {
        (
            sample.name,
            tuple(
                sorted(
                    (label, str(float(value)) if label == "le" else value)
                    for label, value in sample.labels.items()
                    if label not in added
                )
            ),
        ): sample.value
        for sample in exposition.samples
        if sample.name.startswith("bridged_") and not sample.name.endswith("_created")
    }
