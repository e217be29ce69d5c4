"""The table's series as the SDK's metrics: kinds, times, and what is made again."""

from dataclasses import replace

from ansflow_gateway.exporters.table_metrics import TableMetrics
from ansflow_gateway.meters.table import Table
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from support.tables import ACTIVE, CALLS, DURATION, IO, SHARE, SPAN, TRACE, empty_table, filled_table

STARTED_AT = 1_700_000_000.5
START_NS = 1_700_000_000_500_000_000


class Clock:
    """Present time, as set."""

    def __init__(self) -> None:
        self.now = STARTED_AT + 60


def metrics_of(table: Table, clock: Clock) -> TableMetrics:
    """Make the metrics of a table that counts since `STARTED_AT`."""
    resource, scope = Resource({"service.name": "s"}), InstrumentationScope("scope", "1")
    return TableMetrics(table, resource, scope, STARTED_AT, lambda: clock.now)


def by_name(made: ResourceMetrics | None) -> dict[str, Metric]:
    """Index the metrics of the only scope by name."""
    if made is None:
        return {}
    (scope,) = made.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def values(made: ResourceMetrics | None, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's numbers by their attributes' values."""
    points = by_name(made)[name].data.data_points
    assert all(isinstance(point, NumberDataPoint) for point in points)
    return {
        tuple(str(value) for value in (point.attributes or {}).values()): point.value
        for point in points
        if isinstance(point, NumberDataPoint)
    }


def test_each_kind_becomes_its_metric() -> None:
    """Counters are monotonic sums, numbers of what is there are sums, the rest gauges; all cumulative."""
    metrics = by_name(metrics_of(filled_table(), Clock()).all())
    sums = {name: metric.data for name, metric in metrics.items() if isinstance(metric.data, Sum)}
    assert {name: data.is_monotonic for name, data in sums.items()} == {
        "test.calls": True,
        "test.io": True,
        "test.active": False,
    }
    assert {data.aggregation_temporality for data in sums.values()} == {AggregationTemporality.CUMULATIVE}
    assert isinstance(metrics["test.share"].data, Gauge)
    assert (metrics["test.io"].unit, metrics["test.io"].description) == (
        IO.declaration.unit,
        IO.declaration.description,
    )
    for metric in metrics.values():
        for point in metric.data.data_points:
            assert point.start_time_unix_nano == START_NS
            assert point.time_unix_nano == START_NS + 60 * 10**9


def test_whole_counts_are_integers_and_empty_labels_no_attributes() -> None:
    """2 and 2.0 go out as integers, 1.5 as it is; an absent attribute is absent."""
    made = metrics_of(filled_table(), Clock()).all()
    calls = values(made, "test.calls")
    assert calls == {("db", "success"): 2, ("db",): 1.5}
    assert isinstance(calls["db", "success"], int)
    assert isinstance(values(made, "test.io")[()], int)
    assert isinstance(values(made, "test.share")["db",], float)


def test_a_count_beyond_64_bits_is_still_exported() -> None:
    """One huge counter must not keep all other metrics from being encoded."""
    table = filled_table()
    with table.lock:
        table.add(IO, (), 2**64, 2.0)
    made = metrics_of(table, Clock()).all()
    assert made
    request = encode_metrics(MetricsData(resource_metrics=[made]))
    (scope,) = request.resource_metrics[0].scope_metrics
    (io,) = (metric for metric in scope.metrics if metric.name == "test.io")
    assert io.sum.data_points[0].as_double == 2.0**64


def test_a_histogram_keeps_its_buckets_and_exemplars() -> None:
    """Counts lie in their buckets, and the exemplar resolves to its trace."""
    data = by_name(metrics_of(filled_table(), Clock()).all())["test.duration"].data
    assert isinstance(data, Histogram)
    (point,) = data.data_points
    assert isinstance(point, HistogramDataPoint)
    assert (point.count, point.sum, point.min, point.max) == (2, 20.75, 0.75, 20.0)
    assert (*point.bucket_counts,) == (0, 1, 0, 1)
    assert (*point.explicit_bounds,) == DURATION.declaration.bounds
    (exemplar,) = point.exemplars
    assert (exemplar.value, exemplar.time_unix_nano) == (0.75, 10**9)
    assert exemplar.trace_id == int.from_bytes(TRACE, "big")
    assert exemplar.span_id == int.from_bytes(SPAN, "big")


def test_changed_has_what_changed_and_nothing_else() -> None:
    """Each change is told once; all series are told by `all`, at the present time, earlier points unmoved."""
    clock, table = Clock(), filled_table()
    metrics = metrics_of(table, clock)
    before = by_name(metrics.all())["test.calls"].data.data_points[0]
    assert metrics.changed() is None
    clock.now += 5
    with table.lock:
        table.add(CALLS, ("db", "success"), 1, 2.0)
        table.set(SHARE, ("web",), 1.0, 2.0)
    changed = metrics.changed()
    assert by_name(changed).keys() == {"test.calls", "test.share"}
    assert values(changed, "test.calls") == {("db", "success"): 3}
    assert values(changed, "test.share") == {("web",): 1.0}
    assert metrics.changed() is None
    after = by_name(metrics.all())
    assert len(after) == 5
    assert {point.time_unix_nano for metric in after.values() for point in metric.data.data_points} == {
        START_NS + 65 * 10**9
    }
    assert before.time_unix_nano == START_NS + 60 * 10**9


def test_a_removed_series_is_gone_and_may_come_back() -> None:
    """A gauge that was removed has no point, and a metric without points isn't there."""
    table = filled_table()
    metrics = metrics_of(table, Clock())
    metrics.all()
    with table.lock:
        table.remove(ACTIVE, ("db",))
    assert metrics.changed() is None
    assert "test.active" not in by_name(metrics.all())
    with table.lock:
        table.set(ACTIVE, ("db",), 1, 3.0)
    assert values(metrics.all(), "test.active") == {("db",): 1}


def test_an_empty_table_has_no_metrics() -> None:
    """There is nothing to be pushed of nothing."""
    metrics = metrics_of(empty_table(), Clock())
    assert metrics.all() is None
    assert metrics.changed() is None


def test_changes_that_were_not_sent_are_told_again() -> None:
    """Those among the points that didn't go out, at their present values; not others, nor removed ones."""
    table = filled_table()
    metrics = metrics_of(table, Clock())
    metrics.all()
    with table.lock:
        for peer in ("db", "web", "cache"):
            table.set(SHARE, (peer,), 0.5, 3.0)
            table.add(CALLS, (peer, "success"), 1, 3.0)
    made = metrics.all()
    (unsent,) = (metric for metric in by_name(made).values() if metric.name == "test.share")
    assert made
    (scope,) = made.scope_metrics
    with table.lock:
        table.set(SHARE, ("web",), 0.75, 4.0)
        table.remove(SHARE, ("cache",))
    metrics.again([MetricsData([replace(made, scope_metrics=[replace(scope, metrics=[unsent])])])])
    changed = metrics.changed()
    assert by_name(changed).keys() == {"test.share"}
    assert values(changed, "test.share") == {("db",): 0.5, ("web",): 0.75}
    assert metrics.changed() is None
