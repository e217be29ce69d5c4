import os
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from ansflow_instrumentation.recording import BoundCounter, BoundHistogram, HistogramSeries, sdk
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.trace import SpanContext, TraceFlags

SAMPLED = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
BOUNDS = (0.1, 1.0)


def provider_with(views: Sequence[View] = (), **options: Any) -> tuple[MeterProvider, InMemoryMetricReader]:
    """An SDK with a reader in memory."""
    reader = InMemoryMetricReader()
    return MeterProvider([reader], views=views, shutdown_on_exit=False, **options), reader


def histogram_of(provider: MeterProvider) -> Any:
    """A histogram of seconds."""
    return provider.get_meter("test").create_histogram(
        "duration", unit="s", explicit_bucket_boundaries_advisory=BOUNDS
    )


def points_of(reader: InMemoryMetricReader) -> list[Any]:
    """The points of the only metric; none where there is no metric."""
    data = reader.get_metrics_data()
    if data is None:
        return []
    return [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def test_a_bound_histogram_collects_what_the_instrument_would() -> None:
    """Count, sum, buckets, minimum and maximum are those of the same values recorded by the instrument."""
    plain, plain_reader = provider_with()
    fast, fast_reader = provider_with()
    instrument = histogram_of(plain)
    bound = BoundHistogram(histogram_of(fast), {"route": "/a"})
    for value in (0.05, 0.1, 0.5, 3.0, 0.0):
        instrument.record(value, {"route": "/a"})
        bound.record(value, None)
    ours, theirs = points_of(fast_reader)[0], points_of(plain_reader)[0]
    for field in ("attributes", "count", "sum", "bucket_counts", "explicit_bounds", "min", "max"):
        assert getattr(ours, field) == getattr(theirs, field), field


def test_measurements_after_the_first_pass_the_instrument_by() -> None:
    """The second measurement does not go through the instrument: that is what binding is for."""
    provider, reader = provider_with()
    bound = BoundHistogram(histogram_of(provider), {})
    by_instrument = bound.record
    bound.record(1.0, None)
    assert bound.record is not by_instrument
    bound.record(1.0, None)
    assert points_of(reader)[0].count == 2


def test_views_hold() -> None:
    """A view that drops an attribute merges the series of its values."""
    provider, reader = provider_with([View(instrument_name="duration", attribute_keys={"method"})])
    series: HistogramSeries[str] = HistogramSeries(
        histogram_of(provider), lambda key: {"method": "GET", "route": key}
    )
    for route in ("/a", "/b", "/a"):
        series.record(route, 0.5)
    (point,) = points_of(reader)
    assert (point.count, point.attributes) == (3, {"method": "GET"})


@pytest.mark.parametrize(
    ("view", "counts"),
    [
        (View(instrument_name="duration", aggregation=ExponentialBucketHistogramAggregation()), [3]),
        (View(instrument_name="duration", aggregation=DropAggregation()), []),
    ],
)
def test_other_aggregations_are_the_sdks(view: View, counts: list[int]) -> None:
    """What is not a histogram of explicit buckets is recorded through the instrument, and right."""
    provider, reader = provider_with([view])
    bound = BoundHistogram(histogram_of(provider), {})
    for _ in range(3):
        bound.record(0.5, None)
    assert [point.count for point in points_of(reader)] == counts


def test_every_reader_gets_every_measurement() -> None:
    """Two readers count the same, also where one comes later."""
    provider, first = provider_with()
    bound = BoundHistogram(histogram_of(provider), {})
    bound.record(0.5, None)
    bound.record(0.5, None)
    second = InMemoryMetricReader()
    provider.add_metric_reader(second)
    bound.record(0.5, None)
    bound.record(0.5, None)
    assert (points_of(first)[0].count, points_of(second)[0].count) == (4, 2)


def test_exemplars_are_the_latest_sampled_measurement_of_a_bucket() -> None:
    """An exemplar has the sampled span's ids; a measurement outside of a sampled span is none."""
    provider, reader = provider_with()
    bound = BoundHistogram(histogram_of(provider), {})
    for value in (0.5, 0.7):
        bound.record(value, SAMPLED)
    bound.record(5.0, None)
    bound.record(0.8, SAMPLED)
    exemplars = points_of(reader)[0].exemplars
    assert [(e.trace_id, e.span_id) for e in exemplars] == [(7, 8)] * len(exemplars)
    assert exemplars[-1].value == 0.8
    assert not points_of(reader)[0].exemplars, "an exemplar is given once"


def test_an_exemplar_filter_holds() -> None:
    """Where exemplars are off, there are none."""
    provider, reader = provider_with(exemplar_filter=AlwaysOffExemplarFilter())
    bound = BoundHistogram(histogram_of(provider), {})
    for _ in range(3):
        bound.record(0.5, SAMPLED)
    assert not points_of(reader)[0].exemplars


def test_threads_lose_nothing() -> None:
    """Eight threads that record at once are all counted, while a reader collects."""
    provider, reader = provider_with()
    bound = BoundHistogram(histogram_of(provider), {})
    counter = BoundCounter(provider.get_meter("test").create_counter("requests"), {})

    def work() -> None:
        for _ in range(5000):
            bound.record(0.5, None)
            counter.add(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reader.collect()
    points = points_of(reader)
    assert {getattr(point, "count", None) or point.value for point in points} == {40_000}


def test_a_forked_child_looks_the_aggregations_up_again() -> None:
    """A child measures through the instrument first: its aggregations may be others than the parent's."""
    provider, _ = provider_with()
    bound = BoundHistogram(histogram_of(provider), {})
    bound.record(0.5, None)
    direct = bound.record
    pid = os.fork()
    if pid == 0:
        os._exit(0 if bound.record is not direct and bound.record == bound._record_and_bind else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert bound.record is direct


def test_another_sdk_is_noticed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the SDK's fields are others, there is one warning, and every measurement is still counted."""
    sdk.sdk_fits.cache_clear()
    monkeypatch.setattr(sdk, "_histograms_agree", lambda: 1 / 0)
    try:
        provider, reader = provider_with()
        bound = BoundHistogram(histogram_of(provider), {})
        for _ in range(3):
            bound.record(0.5, None)
        assert points_of(reader)[0].count == 3
        assert [record.levelname for record in caplog.records] == ["WARNING"]
    finally:
        sdk.sdk_fits.cache_clear()
