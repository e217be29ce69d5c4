"""Our own table of aggregates: what the journal's events add up to, before any exporter sees it.

A record costs a look-up and an addition, a tenth of the SDK's; what is aggregated is saved and goes on after
a restart; and series are limited in number, with a visible overflow and exact totals.

One owner records, holding `Table.lock` over each group of records. Whoever reads needs no lock: a series'
point is an immutable value that is replaced whole.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ansflow_gateway.domain.labels import OVERFLOW
from ansflow_gateway.domain.store import StateRow
from ansflow_gateway.errors import UndeclaredError
from ansflow_gateway.meters.declaration import Declaration, Kind
from ansflow_gateway.meters.offenders import Offenders

PREFIX: Final = "series"
"""What the keys of the table's rows begin with."""


class Exemplar(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One measurement that stands for its bucket.

    Args:
        value: What was measured.
        at: When, in seconds since the epoch.
        trace_id: The trace in which it was made: 16 bytes.
        span_id: The span, likewise: 8 bytes.
    """

    value: float
    at: float
    trace_id: bytes
    span_id: bytes


class HistogramPoint(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A histogram's state.

    Args:
        count: Number of measurements.
        sum: Their sum.
        buckets: Measurements in each bucket, one more than there are bounds, not cumulative.
        exemplars: The latest exemplar of each bucket; None where it has none.
        minimum: The least measurement.
        maximum: The greatest.
    """

    count: int
    sum: float
    buckets: tuple[int, ...]
    exemplars: tuple[Exemplar | None, ...]
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class TableMeter:
    """An instrument whose aggregates are in the table.

    Args:
        declaration: The instrument, out of the catalogue; its kind says what its series' points are.
        labels: All its attributes, in the order of the labels' values. An empty value is an absent attribute.
        closed: Values that each label which isn't chosen by producers may have; such a label keeps its value
            in the overflow.
    """

    declaration: Declaration
    labels: tuple[str, ...]
    closed: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if frozenset(self.labels) != self.declaration.attributes:
            raise ValueError(f"{self.declaration.name}: the labels aren't those of the catalogue")

    @property
    def overflows(self) -> int:
        """Most overflow series: one for each combination of closed values."""
        product = 1
        for values in self.closed.values():
            product *= len(values)
        return product


class Series:
    """One label set of a meter, and its present point.

    Args:
        meter: The meter.
        labels: Values in the order of the meter's labels.
        point: A number; a `HistogramPoint` of a histogram.
        updated: When it last changed, in seconds since the epoch.
    """

    __slots__ = ("labels", "meter", "point", "removed", "updated")

    def __init__(
        self, meter: TableMeter, labels: tuple[str, ...], point: float | HistogramPoint, updated: float
    ) -> None:
        self.meter = meter
        self.labels = labels
        self.point = point
        self.updated = updated
        self.removed = False

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that are there, by name."""
        return {name: value for name, value in zip(self.meter.labels, self.labels, strict=True) if value}


class Changes:
    """Which series changed since they were last asked for.

    Args:
        lock: The table's.
        initial: Those that are there already.
    """

    def __init__(self, lock: threading.Lock, initial: Iterable[Series]) -> None:
        self._lock = lock
        self.pending: dict[Series, None] = dict.fromkeys(initial)

    def drain(self) -> Sequence[Series]:
        """Return the changed series, removed ones among them (`removed` is true); from any thread."""
        with self._lock:
            drained, self.pending = self.pending, {}
        return list(drained)

    def again(self, series: Iterable[Series]) -> None:
        """Count series as changed that were drained in vain; from any thread."""
        lost = dict.fromkeys(series)
        with self._lock:
            self.pending.update(lost)


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    updated: float
    point: float | HistogramPoint


class Table:
    """The aggregates of some meters.

    Args:
        meters: The meters.
        limit: Most series of a meter, of which some may be taken by the overflow: `limit` + 1 in all.
    """

    def __init__(self, meters: Iterable[TableMeter], limit: int) -> None:
        self.lock = threading.Lock()
        self.meters: Mapping[str, TableMeter] = {meter.declaration.name: meter for meter in meters}
        self._subscribers: list[Changes] = []
        self._series: dict[str, dict[tuple[str, ...], Series]] = {}
        self.clear()
        self._admit = {name: max(1, limit + 1 - meter.overflows) for name, meter in self.meters.items()}

    def clear(self) -> None:
        """Remove all series, unsaved; for the owner, before a saved state is loaded."""
        for group in self._series.values():
            for series in group.values():
                series.removed = True
                self._tell(series)
        self.overflowed = {name: Offenders() for name in self.meters}
        self._series = {name: {} for name in self.meters}
        self._admitted = dict.fromkeys(self.meters, 0)
        self._unsaved: dict[Series, None] = {}

    # Recording: the owner, holding the lock.

    def add(self, meter: TableMeter, labels: tuple[str, ...], amount: float, at: float) -> None:
        """Add to a counter.

        Args:
            meter: One of the table's.
            labels: Its labels' values.
            amount: How much, not negative.
            at: When, in seconds since the epoch.
        """
        series = self._find(meter, labels, 0)
        series.point = _number(series.point) + amount
        self._changed(series, at)

    def record(
        self,
        meter: TableMeter,
        labels: tuple[str, ...],
        value: float,
        at: float,
        exemplar: tuple[bytes, bytes] | None = None,
    ) -> None:
        """Record into a histogram.

        Args:
            meter: One of the table's.
            labels: Its labels' values.
            value: The measurement, in the meter's unit.
            at: When, in seconds since the epoch.
            exemplar: Ids of the trace and the span in which it was made.
        """
        bounds = meter.declaration.bounds
        size = len(bounds) + 1
        series = self._find(meter, labels, None)
        before = series.point
        if not isinstance(before, HistogramPoint) or len(before.buckets) != size:
            before = _rebucketed(before, size)
        place = bisect_left(bounds, value)
        buckets = list(before.buckets)
        buckets[place] += 1
        exemplars = before.exemplars
        if exemplar:
            replaced = list(exemplars)
            replaced[place] = Exemplar(value, at, *exemplar)
            exemplars = tuple(replaced)
        series.point = HistogramPoint(
            before.count + 1,
            before.sum + value,
            tuple(buckets),
            exemplars,
            min(before.minimum, value) if before.count else value,
            max(before.maximum, value) if before.count else value,
        )
        self._changed(series, at)

    def adjust(self, meter: TableMeter, labels: tuple[str, ...], step: float, at: float) -> tuple[str, ...]:
        """Change a number of what is there now.

        Args:
            meter: One of the table's, an updowncounter.
            labels: Its labels' values; those of an overflow series are taken as they are.
            step: By how much.
            at: When, in seconds since the epoch.

        Returns:
            The labels of the series that was changed, which may be the overflow's: the opposite step goes
            there.
        """
        series = self._find(meter, labels, 0)
        series.point = _number(series.point) + step
        self._changed(series, at)
        return series.labels

    def set(self, meter: TableMeter, labels: tuple[str, ...], value: float, at: float) -> None:
        """Set a gauge; one beyond the limit has no series, as gauges of many can't share one.

        Args:
            meter: One of the table's.
            labels: Its labels' values.
            value: The present value.
            at: When, in seconds since the epoch.
        """
        name = meter.declaration.name
        series = self._series[name].get(labels)
        if series is None:
            if self._admitted[name] >= self._admit[name]:
                self.overflowed[name].seen(labels)
                return
            series = self._create(meter, labels, value)
        series.point = value
        self._changed(series, at)

    def expire(self, before: float) -> None:
        """Remove the gauges that weren't set lately, and numbers of what is there now, where that is none.

        Counters and histograms never go: they'd be reset.

        Args:
            before: Time before which a series was set last, in seconds since the epoch.
        """
        for name, meter in self.meters.items():
            kind = meter.declaration.kind
            if kind in {Kind.OBSERVABLE_GAUGE, Kind.OBSERVABLE_UPDOWNCOUNTER}:
                for series in [each for each in self._series[name].values() if each.updated < before]:
                    if kind is Kind.OBSERVABLE_GAUGE or not series.point:
                        self.remove(meter, series.labels)

    def remove(self, meter: TableMeter, labels: tuple[str, ...]) -> None:
        """Remove a gauge's series, if it is there."""
        name = meter.declaration.name
        series = self._series[name].pop(labels, None)
        if series:
            self._admitted[name] -= 1
            series.removed = True
            self._changed(series, series.updated)

    # Reading: any thread.

    def series(self, meter: TableMeter) -> Sequence[Series]:
        """Return the present series of a meter."""
        return list(self._series[meter.declaration.name].values())

    def find(self, meter: TableMeter, labels: tuple[str, ...]) -> Series | None:
        """Return one series; None where there is none."""
        return self._series[meter.declaration.name].get(labels)

    def value(self, meter: TableMeter, labels: tuple[str, ...]) -> float | HistogramPoint | None:
        """Return the point of one series; None where there is none."""
        series = self.find(meter, labels)
        return series.point if series else None

    def subscribe(self) -> Changes:
        """Return a view of the changes from now on; all present series count as changed."""
        with self.lock:
            changes = Changes(self.lock, [s for group in self._series.values() for s in group.values()])
            self._subscribers.append(changes)
        return changes

    # Saving.

    def changed(self) -> Sequence[StateRow]:
        """Return the rows that changed since the last call; the owner calls it."""
        unsaved, self._unsaved = self._unsaved, {}
        rows: list[StateRow] = []
        for series in unsaved:
            key = "\0".join((PREFIX, series.meter.declaration.name, *series.labels))
            saved = _Saved(series.updated, series.point)
            rows.append((key, None if series.removed else _ENCODE(saved)))
        return rows

    def load(self, key: str, encoded: bytes) -> None:
        """Take a saved series over.

        A meter that is no longer declared, or with other labels, is left out: its series can't go on.

        Args:
            key: The row's key, without the prefix.
            encoded: The row's value.
        """
        name, *labels = key.split("\0")
        meter = self.meters.get(name)
        if meter is None or len(labels) != len(meter.labels):
            return
        saved = _DECODE(encoded)
        is_histogram = isinstance(saved.point, HistogramPoint)
        if is_histogram is (meter.declaration.kind is Kind.HISTOGRAM):
            point, size = saved.point, len(meter.declaration.bounds) + 1
            if isinstance(point, HistogramPoint) and len(point.buckets) != size:
                point = _rebucketed(point, size)  # a release has other bounds
            series = self._create(meter, tuple(labels), point)
            series.updated = saved.updated
            self._tell(series)

    def _find(self, meter: TableMeter, labels: tuple[str, ...], initial: float | None) -> Series:
        name = meter.declaration.name
        group = self._series[name]
        series = group.get(labels)
        if series is not None:
            return series
        if self._admitted[name] >= self._admit[name]:
            if OVERFLOW not in labels:
                self.overflowed[name].seen(labels)
            labels = tuple(
                value if label in meter.closed or not value else OVERFLOW
                for label, value in zip(meter.labels, labels, strict=True)
            )
            series = group.get(labels)
            if series is not None:
                return series
        point = _EMPTY if initial is None else initial
        return self._create(meter, labels, point)

    def _create(self, meter: TableMeter, labels: tuple[str, ...], point: float | HistogramPoint) -> Series:
        name = meter.declaration.name
        series = Series(meter, labels, point, 0.0)
        self._series[name][labels] = series
        if OVERFLOW not in labels:
            self._admitted[name] += 1
        return series

    def _changed(self, series: Series, at: float) -> None:
        series.updated = max(series.updated, at)
        self._unsaved[series] = None
        self._tell(series)

    def _tell(self, series: Series) -> None:
        for subscriber in self._subscribers:
            subscriber.pending[series] = None


_EMPTY: Final = HistogramPoint(0, 0.0, (), (), 0.0, 0.0)
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(_Saved).decode


def _number(point: float | HistogramPoint) -> float:
    if isinstance(point, HistogramPoint):
        raise UndeclaredError("a histogram is no number")
    return point


def _rebucketed(point: float | HistogramPoint, size: int) -> HistogramPoint:
    before = point if isinstance(point, HistogramPoint) else _EMPTY
    return HistogramPoint(
        before.count,
        before.sum,
        (0,) * (size - 1) + (before.count,),
        (None,) * size,
        before.minimum,
        before.maximum,
    )
