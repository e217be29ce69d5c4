"""DORA figures as gauges of the table: what changed of them, some at a time."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from ansflow_gateway.folding.dora_figures import DoraFigures
from ansflow_gateway.meters import business as b
from ansflow_gateway.meters.series import TableMeter
from ansflow_gateway.meters.table import Table

ROWS: Final = 128
"""Rows that are told while the table is held: with four gauges each, a millisecond or two."""

Labels = tuple[str, str, str]


class DoraGauges:
    """Knows which figures the table's gauges show. The ticks use it, one at a time.

    Args:
        table: The table.
        again_s: After how many seconds a gauge that hasn't changed is set again, so that it doesn't expire.
    """

    def __init__(self, table: Table, again_s: float) -> None:
        self._table = table
        self._again_s = again_s
        self._current: Sequence[DoraFigures] | None = None
        self._told: dict[Labels, tuple[DoraFigures, float]] = {}
        self._oldest = 0.0

    def steps(self, current: Sequence[DoraFigures], now: float) -> Iterator[Callable[[], None]]:
        """Give what is to be done to show figures; the table isn't touched meanwhile.

        Args:
            current: All figures; where nothing has changed, the same object as the last time.
            now: Present time, in seconds since the epoch.

        Yields:
            Steps, each to be taken while the table's lock is held.
        """
        if current is self._current and now - self._oldest < self._again_s:
            return
        rows = {_labels(row): row for row in current}
        gone = [labels for labels in self._told if labels not in rows]
        before = now - self._again_s
        fresh = [
            (labels, row)
            for labels, row in rows.items()
            if (told := self._told.get(labels)) is None or told[0] is not row or told[1] <= before
        ]
        # First what goes: its places may be those of what comes.
        for first in range(0, len(gone), ROWS):
            yield partial(self._remove, gone[first : first + ROWS])
        for first in range(0, len(fresh), ROWS):
            yield partial(self._tell, fresh[first : first + ROWS], now)
        self._current = current
        self._oldest = min((at for _, at in self._told.values()), default=now)

    def _remove(self, gone: Sequence[Labels]) -> None:
        for labels in gone:
            del self._told[labels]
            for meter in _METERS:
                self._table.remove(meter, labels)

    def _tell(self, rows: Sequence[tuple[Labels, DoraFigures]], now: float) -> None:
        for labels, row in rows:
            self._told[labels] = row, now
            values = (
                row.deployments_per_day,
                row.lead_time_s,
                row.change_failure_rate,
                row.time_to_restore_s,
            )
            for meter, value in zip(_METERS, values, strict=True):
                if value is None:
                    self._table.remove(meter, labels)
                else:
                    show(self._table, meter, labels, value, now, self._again_s)


_METERS: Final = (b.DORA_FREQUENCY, b.DORA_LEAD_TIME, b.DORA_FAILURE_RATE, b.DORA_RESTORE_TIME)


def show(
    table: Table, meter: TableMeter, labels: tuple[str, ...], value: float, now: float, again_s: float
) -> None:
    """Set a gauge if it shows something else, or if it was set long ago and would expire.

    Not each time: what is set is exported.

    Args:
        table: The table; it is held.
        meter: The gauge.
        labels: Its labels' values.
        value: What it is to show.
        now: Present time, in seconds since the epoch.
        again_s: After how many seconds it is set again.
    """
    series = table.find(meter, labels)
    if series is None or series.point != value or now - series.updated > again_s:
        table.set(meter, labels, value, now)


def turned_away(table: Table, project: str, environment: str) -> None:
    """Note that a project has no series of its own in an environment.

    Args:
        table: The table; it is held.
        project: The project.
        environment: The environment.
    """
    table.overflowed[b.DORA_FREQUENCY.declaration.name].seen((project, environment, ""))


def _labels(row: DoraFigures) -> Labels:
    return row.project, row.environment, f"{row.window_days}d"
