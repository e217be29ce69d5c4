"""Each type of prometheus_client as it arrives by OTLP, from a real process."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from support.exported_points import newest
from support.instrumented_service import run_python
from support.otlp_receiver import OtlpReceiver, attributes_of

ON = {"ANSFLOW_PROMETHEUS_BRIDGE": "true"}

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

EVERY_TYPE = f"""
from prometheus_client import REGISTRY, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import SummaryMetricFamily

class Failing:
    def describe(self): return []
    def collect(self): raise OSError("no")

class Quantiles:
    def collect(self):
        family = SummaryMetricFamily("waits", "Waits", count_value=4, sum_value=2.5)
        family.add_sample("waits", {{"quantile": "0.5"}}, 0.4)
        yield family

REGISTRY.register(Failing())
REGISTRY.register(Quantiles())
span = {{"trace_id": "{TRACE}", "span_id": "{SPAN}"}}
Counter("orders_total", "Orders taken", ["kind"]).labels("online").inc(2.5, exemplar=span)
Gauge("tank_temperature_celsius", "Temperature").set(-3.5)
size = Histogram("payload", "Size", ["route"], unit="bytes", buckets=(1, 10, 100))
for value in (1, 5, 5, 500): size.labels("/a").observe(value)
size.labels("/a").observe(50, exemplar={{"trace_id": "{TRACE}"}})
Histogram("drift", "Drift", buckets=(-1, 1)).observe(-2)
Summary("wait_seconds", "Waiting").observe(2)
Info("build", "Build").info({{"version": "1.4"}})
Enum("gate", "Gate", states=["open", "shut"]).state("shut")
Counter("http_requests_total", "Requests").inc()
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The metrics of a process that recorded one of each type, by their names."""
    with OtlpReceiver() as receiver:
        finished = run_python(EVERY_TYPE, receiver, tmp_path_factory.mktemp("every-type"), variables=ON)
        assert finished.returncode == 0, finished.stderr
        assert finished.stderr.count("Failing cannot be collected") == 1, finished.stderr
        return {
            metric.name: metric
            for request in receiver.metrics
            for group in request.resource_metrics
            for scope in group.scope_metrics
            if scope.scope.name == "ansflow_instrumentation.prometheus_bridge"
            for metric in scope.metrics
        }


def test_only_the_application_s_own_is_exported(exported: dict[str, Any]) -> None:
    """The library's own process, platform and garbage metrics are left out, as are metrics of requests."""
    assert set(exported) == {
        "orders",
        "tank_temperature_celsius",
        "payload_bytes",
        "drift",
        "wait_seconds",
        "waits",
        "waits_quantile",
        "build_info",
        "gate",
    }


def test_a_counter_is_a_monotonic_sum(exported: dict[str, Any]) -> None:
    """Its name has no `_total`; its start is when it was created; its exemplar leads to the trace."""
    counter = exported["orders"]
    (point,) = counter.sum.data_points
    assert counter.sum.is_monotonic
    assert counter.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert (counter.description, counter.unit, point.as_double) == ("Orders taken", "", 2.5)
    assert attributes_of(list(point.attributes)) == {"kind": "online"}
    assert 0 < point.time_unix_nano - point.start_time_unix_nano < 60e9
    (exemplar,) = point.exemplars
    assert (exemplar.trace_id.hex(), exemplar.span_id.hex(), exemplar.as_double) == (TRACE, SPAN, 2.5)


def test_a_gauge_is_a_gauge(exported: dict[str, Any]) -> None:
    """Its unit is the last word of its name."""
    gauge = exported["tank_temperature_celsius"]
    assert (gauge.unit, [point.as_double for point in gauge.gauge.data_points]) == ("Cel", [-3.5])


def test_a_histogram_has_counts_of_each_bucket(exported: dict[str, Any]) -> None:
    """Cumulative buckets become single ones; nothing is said of the least and the greatest value."""
    histogram = exported["payload_bytes"]
    (point,) = histogram.histogram.data_points
    assert histogram.unit == "By"
    assert list(point.explicit_bounds) == [1, 10, 100]
    assert list(point.bucket_counts) == [1, 2, 1, 1]
    assert (point.count, point.sum) == (5, 561)
    assert not point.HasField("min")
    assert not point.HasField("max")
    (exemplar,) = point.exemplars
    assert attributes_of(list(exemplar.filtered_attributes)) == {"trace_id": TRACE}, "no span, no link"
    (drift,) = exported["drift"].histogram.data_points
    assert (drift.count, drift.HasField("sum")) == (1, False), "a sum that may fall is not given"


def test_a_summary_is_a_histogram_without_bounds(exported: dict[str, Any]) -> None:
    """A count and a sum; quantiles, if a collector gives some, are a gauge."""
    (own,) = exported["wait_seconds"].histogram.data_points
    assert (own.count, own.sum, list(own.bucket_counts), list(own.explicit_bounds)) == (1, 2, [1], [])
    (point,) = exported["waits"].histogram.data_points
    assert (point.count, point.sum) == (4, 2.5)
    (quantile,) = exported["waits_quantile"].gauge.data_points
    assert (attributes_of(list(quantile.attributes)), quantile.as_double) == ({"quantile": "0.5"}, 0.4)


def test_info_and_states_are_sums_that_may_fall(exported: dict[str, Any]) -> None:
    """As the specification has it: 1 for what is so, 0 for what is not."""
    states = {}
    for name in ("build_info", "gate"):
        assert not exported[name].sum.is_monotonic
        for point in exported[name].sum.data_points:
            states[next(iter(attributes_of(list(point.attributes)).items()))] = point.as_double
    assert states == {("version", "1.4"): 1, ("gate", "open"): 0, ("gate", "shut"): 1}


def test_what_is_excluded_is_the_user_s_to_say(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A list of patterns takes the place of the default one, which is metrics of requests."""
    variables = {**ON, "ANSFLOW_PROMETHEUS_BRIDGE_EXCLUDE": "orders_total, wait*, tank_*,payload_bytes"}
    run_python(EVERY_TYPE, receiver, tmp_path, variables=variables)
    names = {name for name in receiver.metric_names() if "." not in name}
    assert names == {"drift", "build_info", "gate", "http_requests"}


def test_nothing_is_loaded_that_nobody_asked_for(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Off by default; and where it is on, an application without prometheus_client stays without."""
    run_python(EVERY_TYPE, receiver, tmp_path)
    assert not newest(receiver, "orders")
    program = "import sys; print('prometheus_client' in sys.modules)"
    finished = run_python(program, receiver, tmp_path, variables=ON)
    assert (finished.stdout, finished.stderr) == ("False\n", "")
