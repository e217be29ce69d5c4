"""DORA figures of one project in one environment, out of what happened there and when."""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ansflow_gateway.folding.dora_facts import DAY_S, WINDOWS_DAYS

_MARGIN_S: Final = 0.001
"""Figures are looked at again so long before they can change: sums of floats are off by less."""

_FEW: Final = 64
"""Values that enter or leave a window one by one; for more, sorting all of them anew is quicker."""


@dataclass(frozen=True, slots=True)
class DoraFigures:
    """The figures of one project in one environment and one window; see `folding.dora` for what they mean.

    Args:
        project: The project, or `__overflow__`.
        environment: The environment, or `__overflow__`.
        window_days: Length of the window that ends now, in days.
        deployments: Successful deployments.
        deployments_per_day: They by the window's days.
        lead_time_s: Median lead time of the changes delivered, in seconds; None where none was.
        change_failure_rate: Share of the deployments that failed in use, 0 to 1; None where there are none.
        time_to_restore_s: Median duration of the incidents resolved, in seconds; None where none was.
    """

    project: str
    environment: str
    window_days: int
    deployments: int
    deployments_per_day: float
    lead_time_s: float | None
    change_failure_rate: float | None
    time_to_restore_s: float | None


Moment = tuple[float, float]
"""When something happened, in seconds since the epoch, and its value."""


class What(IntEnum):
    """What happens in an environment, each with a value."""

    DEPLOYMENT = 0
    """1 where it failed in use, else 0."""
    LEAD = 1
    """A change was delivered: its lead time, in seconds."""
    RESTORE = 2
    """An incident was resolved: how long it took, in seconds."""


class _Window:
    """The values within a window, in their own order, so that the middle one is at hand.

    Args:
        length_s: The window's length, in seconds.
    """

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._since = self._until = -math.inf
        self.values: list[float] = []

    def add(self, moment: Moment) -> None:
        """Take a moment in, if it is within."""
        at, value = moment
        if self._since < at <= self._until:
            insort(self.values, value)

    def remove(self, moment: Moment) -> None:
        """Take a moment out, if it is within."""
        at, value = moment
        if self._since < at <= self._until:
            del self.values[bisect_left(self.values, value)]

    def move(self, moments: Sequence[Moment], now: float) -> None:
        """Have the window end at another time.

        Args:
            moments: All there are, by time.
            now: Where it ends, in seconds since the epoch.
        """
        old_first, old_end = _after(moments, self._since), _after(moments, self._until)
        self._since, self._until = now - self._length_s, now
        first, end = _after(moments, self._since), _after(moments, self._until)
        if abs(first - old_first) + abs(end - old_end) > _FEW:
            self.values = sorted([value for _, value in moments[first:end]])
            return
        # What enters before what leaves: a window that jumps over a moment has it for a while.
        for _, value in (*moments[old_end:end], *moments[first:old_first]):
            insort(self.values, value)
        for _, value in (*moments[old_first:first], *moments[end:old_end]):
            del self.values[bisect_left(self.values, value)]

    def changes_at(self, moments: Sequence[Moment]) -> float:
        """Return when a moment leaves or enters next, as time goes on; infinity where none does."""
        leaving, entering = _after(moments, self._since), _after(moments, self._until)
        return min(
            moments[leaving][0] + self._length_s if leaving < len(moments) else math.inf,
            moments[entering][0] if entering < len(moments) else math.inf,
        )


class _Dated:
    """What happened of one kind, by time, and which of it is within each window."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.windows = [_Window(days * DAY_S) for days in WINDOWS_DAYS]

    def add(self, moment: Moment) -> None:
        insort(self.moments, moment)
        for window in self.windows:
            window.add(moment)

    def remove(self, moment: Moment) -> None:
        del self.moments[bisect_left(self.moments, moment)]
        for window in self.windows:
            window.remove(moment)

    def move(self, now: float) -> float:
        """Have the windows end at another time; return until when nothing leaves or enters one."""
        for window in self.windows:
            window.move(self.moments, now)
        return min(window.changes_at(self.moments) for window in self.windows)


class Timeline:
    """Figures as facts come and time goes on; a moment more costs the same whatever there is already.

    Args:
        project: The project.
        environment: The environment.
    """

    def __init__(self, project: str, environment: str) -> None:
        self.project = project
        self.environment = environment
        self._dated = tuple(_Dated() for _ in What)
        self._figures: Sequence[DoraFigures] = ()
        self._since = math.inf
        self.until = -math.inf
        """Until when the figures made last stay as they are, if nothing is told."""

    @property
    def empty(self) -> bool:
        """Whether nothing has happened."""
        return not any(dated.moments for dated in self._dated)

    def replace(self, what: What, old: Moment | None, new: Moment | None) -> None:
        """Put one moment in the place of another, either of which may be none."""
        dated = self._dated[what]
        if new is not None:
            dated.add(new)
        if old is not None:
            dated.remove(old)
        self._since = math.inf

    def figures(self, now: float) -> Sequence[DoraFigures]:
        """Return the figures of all windows; none where nothing happened within the longest.

        Args:
            now: Where the windows end, in seconds since the epoch.
        """
        if not self._since <= now < self.until:
            self._since, self.until = now, min(dated.move(now) for dated in self._dated) - _MARGIN_S
            rows = [self._window(place) for place in range(len(WINDOWS_DAYS))]
            alive = rows[-1].deployments or rows[-1].time_to_restore_s is not None
            self._figures = rows if alive else ()
        return self._figures

    def _window(self, place: int) -> DoraFigures:
        deployments, leads, restores = (dated.windows[place].values for dated in self._dated)
        number, days = len(deployments), WINDOWS_DAYS[place]
        failed = number - bisect_left(deployments, 1.0)
        return DoraFigures(
            self.project,
            self.environment,
            days,
            deployments=number,
            deployments_per_day=number / days,
            lead_time_s=_median(leads),
            change_failure_rate=failed / number if number else None,
            time_to_restore_s=_median(restores),
        )


def _after(moments: Sequence[Moment], at: float) -> int:
    """Return the place of the first moment after a time."""
    return bisect_right(moments, (at, math.inf))


def _median(ordered: Sequence[float]) -> float | None:
    half, odd = divmod(len(ordered), 2)
    if not ordered:
        return None
    return ordered[half] if odd else (ordered[half - 1] + ordered[half]) / 2
