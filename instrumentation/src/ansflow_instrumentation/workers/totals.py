"""A worker's successor goes on from the predecessor's sums.

A slot's series are read by Prometheus, which takes a sum that falls for a reset, and one that rises for a
sum that goes on. If a successor began at zero, each recycling would lose what it should not: a scrape that
comes after the successor has passed its predecessor's last value sees no reset at all, and where workers are
recycled more often than they are scraped, whole lives go unseen (measured: of 1,000 requests in 200 lives of
five, `increase()` gave 5). Start times do not help: the Collector's Prometheus exporter keeps the newest
point of a series, and Prometheus looks at values. A successor that carries its predecessor's sums on has no
resets, whenever it is scraped: a slot's sum only rises, `increase()` over it is exact, and its start time
stays true: from the slot's first measurement to now. It also sends what the predecessor could not, if the
Collector was away.

So, between a periodic reader and its exporter (see `carrying`), cumulative monotonic sums and histograms have
the predecessor's totals added, and the new totals are written to the slot's file before they are sent.
Points that the successor has not touched yet are sent as they were left. What belongs to the process that is
gone (gauges, up-down counters) is not carried on, nor are exponential histograms, nor deltas, which stand
for themselves, nor what is observed instead of counted (see `observed`). After SIGKILL, the successor goes on
from the last periodic export.
"""

import contextlib
import dataclasses
import json
import logging
import operator
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import Attributes

from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.workers.observed import Observed, ObservedMetric

__all__ = ["Totals"]

KEPT_FOR_S = 3600.0
"""A series that no worker of the slot has added to for so long is not carried on."""

MAX_CARRIED = 2000
"""Series of a metric that are carried on, the latest first: the SDK's default cardinality limit."""

FORMAT = 2

_logger = logging.getLogger(__name__)

Point = NumberDataPoint | HistogramDataPoint


@dataclasses.dataclass(frozen=True)
class Stream:
    """A metric of a scope, as it is told from others; attributes in their written form."""

    scope: str
    scope_version: str
    scope_schema_url: str
    scope_attributes: str
    metric: str
    unit: str
    is_histogram: bool


@dataclasses.dataclass
class Series:
    """The totals of a stream, each with the time of its last change, by attribute set in its written form."""

    description: str
    points: dict[str, tuple[Point, int]]


class Totals:
    """What a slot's workers have counted together, in the slot's file.

    Args:
        file: Where the predecessor left its totals, and where they are left to the successor.
        now_s: Unix time.
        observed: Tells which metrics are of observable instruments.
    """

    def __init__(self, file: Path, now_s: float, observed: Callable[[], Observed]) -> None:
        self._file = file
        self._ask_observed = observed
        self._observed: Observed = frozenset()
        self._inherited: dict[Stream, Series] = {}
        with survive("Reading what the worker before has counted"):
            self._inherited = _read(file, now_s)
        # Of this process alone, to tell which have changed, and when.
        self._own: dict[Stream, dict[str, tuple[float, int]]] = {}
        self._have_changed = False
        self._can_write = True

    def added_to(self, data: MetricsData) -> MetricsData:
        """Add the predecessors' totals to this process's, and leave them to the successor.

        Args:
            data: What was collected in this process, of one resource.

        Returns:
            The same with the totals of the slot.
        """
        totals: dict[Stream, Series] = {}
        self._observed = self._ask_observed()
        (resource,) = data.resource_metrics
        scopes = [self._scope(scope, totals) for scope in resource.scope_metrics]
        scopes.extend(self._untouched(totals))
        self._write(totals)
        return MetricsData([dataclasses.replace(resource, scope_metrics=scopes)])

    def _scope(self, scope: ScopeMetrics, totals: dict[Stream, Series]) -> ScopeMetrics:
        return dataclasses.replace(
            scope, metrics=[self._metric(scope, metric, totals) for metric in scope.metrics]
        )

    def _metric(self, scope: ScopeMetrics, metric: Metric, totals: dict[Stream, Series]) -> Metric:
        data = metric.data
        is_observed = isinstance(metric, ObservedMetric) or (scope.scope, metric.name) in self._observed
        if is_observed or not _is_carried(data):
            return metric
        assert isinstance(data, Sum | Histogram)  # noqa: S101 # for mypy
        attributes = _written(scope.scope.attributes)
        if attributes is None:
            return metric
        stream = Stream(
            scope.scope.name,
            scope.scope.version or "",
            scope.schema_url or "",
            attributes,
            metric.name,
            metric.unit or "",
            isinstance(data, Histogram),
        )
        inherited = self._inherited.get(stream)
        own = self._own.setdefault(stream, {})
        series = totals[stream] = Series(metric.description or "", {})
        points: list[Point] = []
        for point in data.data_points:
            key = _written(point.attributes)
            if key is None:
                points.append(point)
                continue
            before, changed = inherited.points.get(key, (None, 0)) if inherited else (None, 0)
            total = _sum(before, point) if before else point
            points.append(total)
            series.points[key] = total, self._last_change(own, key, point, changed)
        for key, left in (inherited.points if inherited else {}).items():
            if key not in series.points:
                series.points[key] = left
                points.append(dataclasses.replace(left[0], time_unix_nano=time.time_ns()))
        with_totals: Any = dataclasses.replace(data, data_points=points)  # type: ignore[arg-type] # of its kind
        return dataclasses.replace(metric, data=with_totals)

    def _untouched(self, totals: dict[Stream, Series]) -> Iterator[ScopeMetrics]:
        for stream, series in self._inherited.items():
            if stream in totals:
                continue
            totals[stream] = series
            now = time.time_ns()
            points: Any = [dataclasses.replace(p, time_unix_nano=now) for p, _ in series.points.values()]
            cumulative = AggregationTemporality.CUMULATIVE
            data: Sum | Histogram = (
                Histogram(points, cumulative) if stream.is_histogram else Sum(points, cumulative, True)
            )
            attributes = json.loads(stream.scope_attributes)
            scope = InstrumentationScope(
                stream.scope, stream.scope_version, stream.scope_schema_url, attributes
            )
            metric = Metric(stream.metric, series.description, stream.unit, data)
            yield ScopeMetrics(scope, [metric], stream.scope_schema_url)

    def _last_change(self, own: dict[str, tuple[float, int]], key: str, point: Point, changed: int) -> int:
        """Tell when a total last changed, in nanoseconds of Unix time."""
        amount = point.count if isinstance(point, HistogramDataPoint) else point.value
        known, changed = own.get(key, (0, changed))
        if amount != known or not changed:
            self._have_changed = True
            changed = point.time_unix_nano
        own[key] = (amount, changed)
        return changed

    def _write(self, totals: Mapping[Stream, Series]) -> None:
        if not self._can_write or not self._have_changed:
            return
        self._have_changed = False
        draft = self._file.with_name(self._file.name + ".draft")
        try:
            with open(draft, "w", opener=_open_for_this_user) as file:
                file.writelines(_lines(totals))
            draft.replace(self._file)
        except OSError as error:
            self._can_write = False
            for left in (draft, self._file):  # older sums than the last ones sent would fall, unnoticed
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
            _logger.warning(
                "%s cannot be written (%s): the next worker's sums begin at zero", self._file, error
            )


def _is_carried(data: object) -> bool:
    is_sum = isinstance(data, Sum) and data.is_monotonic
    return (
        is_sum or isinstance(data, Histogram)
    ) and data.aggregation_temporality == AggregationTemporality.CUMULATIVE  # type: ignore[attr-defined] # one of both


def _open_for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _written(attributes: Attributes) -> str | None:
    try:
        return json.dumps(dict(attributes or {}), sort_keys=True)
    except TypeError:  # bytes, say: what cannot be written is not carried on
        return None


def _sum(before: Point, point: Point) -> Point:
    start = min(before.start_time_unix_nano, point.start_time_unix_nano)
    if isinstance(before, NumberDataPoint) and isinstance(point, NumberDataPoint):
        return dataclasses.replace(point, start_time_unix_nano=start, value=before.value + point.value)
    if (
        isinstance(before, HistogramDataPoint)
        and isinstance(point, HistogramDataPoint)
        and list(before.explicit_bounds) == list(point.explicit_bounds)
    ):
        return dataclasses.replace(
            point,
            start_time_unix_nano=start,
            count=before.count + point.count,
            sum=_combined(operator.add, before.sum, point.sum),
            bucket_counts=[a + b for a, b in zip(before.bucket_counts, point.bucket_counts, strict=True)],
            min=_combined(min, before.min, point.min),
            max=_combined(max, before.max, point.max),
        )
    return point  # other buckets than before: another histogram


def _combined(combine: Callable[[Any, Any], Any], before: Any, now: Any) -> Any:
    # The bridge's histograms know no least and greatest value, and not always a sum.
    return None if before is None or now is None else combine(before, now)


def _lines(totals: Mapping[Stream, Series]) -> Iterator[str]:
    """Write a line for each series, so that other threads come in between."""
    yield json.dumps({"format": FORMAT}) + "\n"
    for stream, series in totals.items():
        points = list(series.points.values())
        if len(points) > MAX_CARRIED:
            points = sorted(points, key=lambda point: point[1])[-MAX_CARRIED:]
        head = [*dataclasses.astuple(stream), series.description]
        yield json.dumps({"stream": head}) + "\n"
        for point, changed in points:
            fields = {**vars(point), "time_unix_nano": changed, "exemplars": ()}
            fields["attributes"] = dict(point.attributes or {})
            yield json.dumps(fields) + "\n"


def _read(file: Path, now_s: float) -> dict[Stream, Series]:
    found: dict[Stream, Series] = {}
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return found
    if json.loads(lines[0])["format"] != FORMAT:
        return found
    oldest = (now_s - KEPT_FOR_S) * 1e9
    kind: type[Any] = NumberDataPoint
    points: dict[str, tuple[Point, int]] = {}
    for line in lines[1:]:
        fields = json.loads(line)
        if head := fields.get("stream"):
            stream = Stream(*head[:-1])
            kind = HistogramDataPoint if stream.is_histogram else NumberDataPoint
            points = found.setdefault(stream, Series(head[-1], {})).points
        elif (changed := fields["time_unix_nano"]) >= oldest:
            point = kind(**fields)
            if (key := _written(point.attributes)) is not None:
                points[key] = point, changed
    return {stream: series for stream, series in found.items() if series.points}
