"""Our own table of aggregates: what the journal's events add up to, before any exporter sees it.

A record costs a look-up and an addition, a tenth of the SDK's; what is aggregated is saved and goes on after
a restart; and series are limited in number, with a visible overflow and exact totals.

One owner records, holding `Table.lock` over each group of records. Whoever reads needs no lock: a series'
point is an immutable value that is replaced whole.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from ansflow_gateway.domain.labels import OVERFLOW
from ansflow_gateway.domain.store import StateRow
from ansflow_gateway.errors import UndeclaredError
from ansflow_gateway.meters.declaration import Kind
from ansflow_gateway.meters.offenders import Offenders
from ansflow_gateway.meters.points import EMPTY, HistogramPoint, rebucketed, with_measurement
from ansflow_gateway.meters.series import Changes, Series, TableMeter

PREFIX: Final = "series"
"""What the keys of the table's rows begin with."""


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
        series = self._find(meter, labels, None)
        before = series.point if isinstance(series.point, HistogramPoint) else EMPTY
        series.point = with_measurement(before, meter.declaration.bounds, value, at, exemplar)
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
        """Set a gauge; one beyond the limit has no series, as gauges of many can't share one by themselves.

        Args:
            meter: One of the table's.
            labels: Its labels' values.
            value: The present value.
            at: When, in seconds since the epoch.
        """
        name = meter.declaration.name
        series = self._series[name].get(labels)
        if series is None:
            if self._admitted[name] >= self._admit[name] and labels != _overflow(meter, labels):
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
            if labels != _overflow(meter, labels):
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
                point = rebucketed(point, size)  # a release has other bounds
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
            overflow = _overflow(meter, labels)
            if labels != overflow:
                self.overflowed[name].seen(labels)
            labels = overflow
            series = group.get(labels)
            if series is not None:
                return series
        point = EMPTY if initial is None else initial
        return self._create(meter, labels, point)

    def _create(self, meter: TableMeter, labels: tuple[str, ...], point: float | HistogramPoint) -> Series:
        name = meter.declaration.name
        series = Series(meter, labels, point, 0.0)
        self._series[name][labels] = series
        if labels != _overflow(meter, labels):
            self._admitted[name] += 1
        return series

    def _changed(self, series: Series, at: float) -> None:
        series.updated = max(series.updated, at)
        self._unsaved[series] = None
        self._tell(series)

    def _tell(self, series: Series) -> None:
        for subscriber in self._subscribers:
            subscriber.pending[series] = None


_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(_Saved).decode


def _overflow(meter: TableMeter, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels of the series that takes what has no series of its own.

    That a producer may give one label this value makes none an overflow: all that he chooses must have it.
    """
    return tuple(
        value if label in meter.closed or not value else OVERFLOW
        for label, value in zip(meter.labels, labels, strict=True)
    )


def _number(point: float | HistogramPoint) -> float:
    if isinstance(point, HistogramPoint):
        raise UndeclaredError("a histogram is no number")
    return point
