"""Series of the table, the meters they are of, and who hears of their changes."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansflow_gateway.meters.declaration import Declaration
from ansflow_gateway.meters.points import HistogramPoint


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
