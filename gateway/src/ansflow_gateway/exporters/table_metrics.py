"""The table's series in the SDK's data model, for readers to add to what the SDK collects.

The Python SDK has no metric producers
(https://opentelemetry.io/docs/specs/otel/metrics/sdk/#metricproducer), and no way to set a histogram's
state: so points are made here, cumulative, with the start time that the store keeps over restarts.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import Attributes

from ansflow_gateway.exporters.moments import unix_nanoseconds
from ansflow_gateway.meters.declaration import Kind
from ansflow_gateway.meters.points import Exemplar as TableExemplar
from ansflow_gateway.meters.points import HistogramPoint
from ansflow_gateway.meters.series import Series, TableMeter
from ansflow_gateway.meters.table import Table

DataPoint = NumberDataPoint | HistogramDataPoint
PointT = TypeVar("PointT", bound=DataPoint)

_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
_INTEGERS_END: Final = 2**63
_COUNTERS: Final = frozenset({Kind.COUNTER, Kind.OBSERVABLE_COUNTER})


class TableMetrics:
    """Makes metrics of a table's series. A series' point is made again only when the series has changed.

    Any thread may call it; it waits for the others.

    Args:
        table: The table, its saved series loaded.
        resource: Who the metrics come from.
        scope: Under which scope they are.
        started_at: Since when the table counts, in seconds since the epoch.
        clock: Present time in seconds since the epoch.
    """

    def __init__(
        self,
        table: Table,
        resource: Resource,
        scope: InstrumentationScope,
        started_at: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resource = resource
        self._scope = scope
        self._start_ns = unix_nanoseconds(started_at)
        self._clock = clock
        self._lock = threading.Lock()
        self._changes = table.subscribe()
        self._meters: Mapping[str, TableMeter] = table.meters
        self._points: dict[str, dict[Series, DataPoint]] = {name: {} for name in table.meters}
        self._told: Sequence[Series] = ()

    def all(self) -> ResourceMetrics | None:
        """Return all series at the present time; None where there are none."""
        with self._lock:
            now = unix_nanoseconds(self._clock())
            self._update(now)
            # The time is all that is new of most points.
            return self._metrics(
                {
                    name: [_moved(point, now) for point in points.values()]
                    for name, points in self._points.items()
                }
            )

    def changed(self) -> ResourceMetrics | None:
        """Return the series that changed since the last call of `all` or `changed`; None where none did."""
        with self._lock:
            return self._metrics(self._update(unix_nanoseconds(self._clock())))

    def again(self, unsent: Iterable[MetricsData]) -> None:
        """Have those changes told again by `changed` that the last call told, and that weren't sent.

        Args:
            unsent: What wasn't sent, of what the last call gave and of anything else.
        """
        # Points of one series share their attributes: an identity, where equality would cost a hash of all.
        lost = {
            id(point.attributes)
            for data in unsent
            for group in data.resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }
        with self._lock:
            found = []
            for series in self._told:
                point = self._points[series.meter.declaration.name].get(series)
                if point is not None and id(point.attributes) in lost:
                    found.append(series)
            self._changes.again(found)

    def _update(self, now: int) -> Mapping[str, Sequence[DataPoint]]:
        made: dict[str, list[DataPoint]] = {}
        self._told = self._changes.drain()
        for series in self._told:
            name = series.meter.declaration.name
            points = self._points[name]
            if series.removed:
                points.pop(series, None)
            else:
                before = points.get(series)
                point = points[series] = self._point(series, before.attributes if before else None, now)
                made.setdefault(name, []).append(point)
        return made

    def _point(self, series: Series, attributes: Attributes, now: int) -> DataPoint:
        attributes = attributes or series.attributes
        point = series.point
        if isinstance(point, HistogramPoint):
            return HistogramDataPoint(
                attributes=attributes,
                start_time_unix_nano=self._start_ns,
                time_unix_nano=now,
                count=point.count,
                sum=point.sum,
                bucket_counts=point.buckets,
                explicit_bounds=series.meter.declaration.bounds,
                min=point.minimum,
                max=point.maximum,
                exemplars=[_exemplar(each) for each in point.exemplars if each],
            )
        whole = series.meter.declaration.kind in _COUNTERS and float(point).is_integer()
        # OTLP's integers have 64 bits: https://opentelemetry.io/docs/specs/otel/metrics/data-model/
        value = int(point) if whole and abs(point) < _INTEGERS_END else float(point)
        return NumberDataPoint(attributes, self._start_ns, now, value)

    def _metrics(self, points: Mapping[str, Sequence[DataPoint]]) -> ResourceMetrics | None:
        metrics: list[Metric] = []
        for name, group in points.items():
            if group:
                declared = self._meters[name].declaration
                data = _data(declared.kind, group)
                metrics.append(Metric(name, declared.description, declared.unit, data))
        if not metrics:
            return None
        scope_metrics = ScopeMetrics(self._scope, metrics, self._scope.schema_url or "")
        return ResourceMetrics(self._resource, [scope_metrics], self._resource.schema_url)


def _data(kind: Kind, points: Sequence[DataPoint]) -> Sum | Gauge | Histogram:
    numbers = [point for point in points if isinstance(point, NumberDataPoint)]
    if kind is Kind.HISTOGRAM:
        histograms = [point for point in points if isinstance(point, HistogramDataPoint)]
        return Histogram(histograms, _CUMULATIVE)
    if kind is Kind.OBSERVABLE_GAUGE:
        return Gauge(numbers)
    return Sum(numbers, _CUMULATIVE, is_monotonic=kind in _COUNTERS)


def _exemplar(exemplar: TableExemplar) -> Exemplar:
    return Exemplar(
        filtered_attributes={},
        value=float(exemplar.value),
        time_unix_nano=unix_nanoseconds(exemplar.at),
        span_id=int.from_bytes(exemplar.span_id, "big"),
        trace_id=int.from_bytes(exemplar.trace_id, "big"),
    )


def _moved(point: PointT, now: int) -> PointT:
    # What `dataclasses.replace` comes to, at a quarter of its time: there are tens of thousands of points.
    moved = object.__new__(type(point))
    moved.__dict__.update(point.__dict__)
    moved.__dict__["time_unix_nano"] = now
    return moved
