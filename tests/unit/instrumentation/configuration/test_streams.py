"""What the SDK makes of the settings, with a reader of the test's own."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansflow_instrumentation.configuration.sdk_streams import apply_stream_settings
from ansflow_instrumentation.configuration.streams import read_stream_settings
from ansflow_instrumentation.recording import CounterSeries
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal import metric_reader_storage
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View

Collect = Callable[[], dict[str, list[Any]]]


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Meter, Collect]]:
    """Make a meter whose streams follow some variables, and a function that collects points by metric."""

    def measuring(env: Mapping[str, str], views: tuple[View, ...] = ()) -> tuple[Meter, Collect]:
        # The class is put back after the test.
        monkeypatch.setattr(
            metric_reader_storage, "_ViewInstrumentMatch", vars(metric_reader_storage)["_ViewInstrumentMatch"]
        )
        apply_stream_settings(read_stream_settings(env)[0])
        reader = InMemoryMetricReader()
        provider = MeterProvider(metric_readers=[reader], views=views, shutdown_on_exit=False)

        def collect() -> dict[str, list[Any]]:
            data: Any = reader.get_metrics_data()
            return {
                metric.name: list(metric.data.data_points)
                for resource in data.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }

        return provider.get_meter("test"), collect

    return measuring


def _sums(points: list[Any]) -> dict[str, float]:
    return {repr(dict(point.attributes)): point.value for point in points}


def test_beyond_its_limit_an_instrument_overflows_visibly(
    measure: Callable[..., tuple[Meter, Collect]], caplog: pytest.LogCaptureFixture
) -> None:
    """A limit of 3 is two series and the overflow; the sum is exact, and one warning says so."""
    meter, collect = measure({"ANSFLOW_METRICS_CARDINALITY_LIMITS": "3"})
    counter = meter.create_counter("orders")
    for _ in range(5):
        for user in range(20):
            counter.add(1, {"user": user})
    assert _sums(collect()["orders"]) == {
        "{'user': 0}": 5,
        "{'user': 1}": 5,
        "{'otel.metric.overflow': True}": 90,
    }
    assert [record.getMessage() for record in caplog.records] == [
        "orders has 3 series, its limit (ANSFLOW_METRICS_CARDINALITY_LIMITS): further attribute sets are "
        "counted in the series otel.metric.overflow=true"
    ]


def test_bound_series_share_the_overflow(measure: Callable[..., tuple[Meter, Collect]]) -> None:
    """What is recorded past the instrument has the same limit, and the same overflow."""
    meter, collect = measure({"ANSFLOW_METRICS_CARDINALITY_LIMITS": "orders=3"})
    counter = meter.create_counter("orders")
    series = CounterSeries[int](counter, lambda user: {"user": user})
    for _ in range(5):
        for user in range(20):
            series.add(user)
        counter.add(1, {"user": 1})
    assert _sums(collect()["orders"]) == {
        "{'user': 0}": 5,
        "{'user': 1}": 10,
        "{'otel.metric.overflow': True}": 90,
    }


def test_observed_sums_overflow_exactly(measure: Callable[..., tuple[Meter, Collect]]) -> None:
    """Of an observable counter, the sets that were seen first stay; the others' totals are added up."""
    meter, collect = measure({"ANSFLOW_METRICS_CARDINALITY_LIMITS": "3"})
    total = 0

    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(total + disk, {"disk": disk}) for disk in range(5)]

    meter.create_observable_counter("io", [observe])
    for round_ in range(3):
        total = 10 * round_
        sums = _sums(collect()["io"])
        assert sums == {
            "{'disk': 0}": total,
            "{'disk': 1}": total + 1,
            "{'otel.metric.overflow': True}": 3 * total + 2 + 3 + 4,
        }


def test_threads_share_the_limit(measure: Callable[..., tuple[Meter, Collect]]) -> None:
    """With as many threads as reach the limit at once, no count is lost and none is made up."""
    meter, collect = measure({"ANSFLOW_METRICS_CARDINALITY_LIMITS": "50"})
    counter = meter.create_counter("orders")
    series = CounterSeries[int](counter, lambda user: {"user": user})

    def work(thread: int) -> None:
        for number in range(2000):
            user = (number * 7 + thread) % 200
            series.add(user)
            counter.add(1, {"user": user})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    points = collect()["orders"]
    assert len(points) == 50
    assert sum(point.value for point in points) == 8 * 2000 * 2


def test_the_default_limit_is_the_specifications(measure: Callable[..., tuple[Meter, Collect]]) -> None:
    """With nothing set an instrument has 2000 series."""
    meter, collect = measure({})
    histogram = meter.create_histogram("duration")
    for user in range(2500):
        histogram.record(1, {"user": user})
    points = collect()["duration"]
    assert len(points) == 2000
    assert sum(point.count for point in points) == 2500
    assert points[-1].count == 501


def test_buckets_are_those_of_the_variable(measure: Callable[..., tuple[Meter, Collect]]) -> None:
    """Buckets win over the instrumentation's advice; what is no histogram has none."""
    meter, collect = measure({"ANSFLOW_METRICS_BUCKETS": "*=1,2; db.*=exponential"})
    meter.create_histogram("http", explicit_bucket_boundaries_advisory=[5, 6]).record(1.5)
    meter.create_histogram("db.client").record(1.5)
    meter.create_counter("orders").add(1)
    points = collect()
    assert points["http"][0].explicit_bounds == (1.0, 2.0)
    assert points["db.client"][0].scale > 0
    assert points["orders"][0].value == 1


def test_series_are_summed_over_dropped_attributes(measure: Callable[..., tuple[Meter, Collect]]) -> None:
    """Lists of several entries add up; an instrument that is dropped is not there."""
    meter, collect = measure(
        {
            "ANSFLOW_METRICS_DROPPED": "internal.*",
            "ANSFLOW_METRICS_DROPPED_ATTRIBUTES": "*=host; or*=user",
            "ANSFLOW_METRICS_KEPT_ATTRIBUTES": "visits=page,host",
        }
    )
    for host in "ab":
        attributes = {"host": host, "user": host, "page": "/", "kind": "x"}
        meter.create_counter("orders").add(1, attributes)
        meter.create_counter("visits").add(1, attributes)
        meter.create_counter("internal.calls").add(1, attributes)
    points = collect()
    assert {name: _sums(of_name) for name, of_name in points.items()} == {
        "orders": {"{'page': '/', 'kind': 'x'}": 2},
        "visits": {"{'page': '/'}": 2},
    }


def test_another_sdk_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the SDK keeps its series elsewhere, one warning says that settings have no effect; none has."""
    match = metric_reader_storage._ViewInstrumentMatch  # type: ignore[attr-defined] # the SDK's own import

    def consume_elsewhere(self: Any, measurement: Any, *_: object) -> None:
        series = self.__dict__.setdefault("elsewhere", {})
        series.setdefault(repr(measurement.attributes), []).append(measurement.value)

    monkeypatch.setattr(match, "consume_measurement", consume_elsewhere)
    apply_stream_settings(read_stream_settings({"ANSFLOW_METRICS_CARDINALITY_LIMITS": "2"})[0])
    assert vars(metric_reader_storage)["_ViewInstrumentMatch"] is match
    (warning,) = caplog.records
    assert (
        "is not built as expected: buckets, attributes and limits of metrics are its own" in warning.message
    )


def test_a_view_of_the_users_own_stays(measure: Callable[..., tuple[Meter, Collect]]) -> None:
    """Variables are for the instruments that no view selects; limits are for all."""
    meter, collect = measure(
        {"ANSFLOW_METRICS_DROPPED_ATTRIBUTES": "*=user", "ANSFLOW_METRICS_CARDINALITY_LIMITS": "2"},
        views=(View(instrument_name="orders", name="sales"),),
    )
    for user in "abc":
        meter.create_counter("orders").add(1, {"user": user})
    assert _sums(collect()["sales"]) == {"{'user': 'a'}": 1, "{'otel.metric.overflow': True}": 2}
