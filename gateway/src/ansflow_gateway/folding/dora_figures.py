"""DORA figures of one project in one environment, out of what happened there and when."""

import math
import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ansflow_gateway.folding.dora_facts import DAY_S, WINDOWS_DAYS

_MARGIN_S: Final = 0.001
"""Figures are looked at again so long before they can change: sums of floats are off by less."""


@dataclass(frozen=True, slots=True)
class DoraFigures:
    """The figures of one project in one environment and one window; see `folding.dora` for what they mean.

    Args:
        project: The project, or `__overflow__`.
        environment: The environment.
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


@dataclass(slots=True)
class Happened:
    """What happened in an environment, in any order.

    Attributes:
        deployments: When each was made, and 1 where it failed in use, else 0.
        leads: When each change was delivered, and its lead time in seconds.
        restores: When each incident was resolved, and how long it took in seconds.
    """

    deployments: list[Moment] = field(default_factory=list)
    leads: list[Moment] = field(default_factory=list)
    restores: list[Moment] = field(default_factory=list)

    def extend(self, other: "Happened") -> None:
        """Add what happened elsewhere."""
        self.deployments.extend(other.deployments)
        self.leads.extend(other.leads)
        self.restores.extend(other.restores)


class _Dated:
    """Values by time.

    Args:
        moments: The values, in any order.
    """

    def __init__(self, moments: Sequence[Moment]) -> None:
        ordered = sorted(moments)
        self._at = [at for at, _ in ordered]
        self._values = [value for _, value in ordered]

    def within(self, since: float, until: float) -> Sequence[float]:
        """Return the values after a time, and until another."""
        return self._values[bisect_right(self._at, since) : bisect_right(self._at, until)]

    def changes_at(self, now: float, window_s: float) -> float:
        """Return when a value leaves or enters the window next; infinity where none does."""
        leaving, entering = bisect_right(self._at, now - window_s), bisect_right(self._at, now)
        return min(
            self._at[leaving] + window_s if leaving < len(self._at) else math.inf,
            self._at[entering] if entering < len(self._at) else math.inf,
        )


class Timeline:
    """Figures as time goes on; made again only when something enters or leaves a window.

    Args:
        project: The project.
        environment: The environment.
        happened: What happened there.
    """

    def __init__(self, project: str, environment: str, happened: Happened) -> None:
        self.project = project
        self.environment = environment
        self._deployments = _Dated(happened.deployments)
        self._leads = _Dated(happened.leads)
        self._restores = _Dated(happened.restores)
        self._figures: Sequence[DoraFigures] = ()
        self._since = math.inf
        self.until = -math.inf
        """Until when the figures made last stay as they are."""

    def figures(self, now: float) -> Sequence[DoraFigures]:
        """Return the figures of all windows; none where nothing happened within the longest.

        Args:
            now: Where the windows end, in seconds since the epoch.
        """
        if not self._since <= now < self.until:
            rows = [self._window(now, days) for days in WINDOWS_DAYS]
            alive = rows[-1].deployments or rows[-1].time_to_restore_s is not None
            self._figures = rows if alive else ()
            self._since = now
            self.until = (
                min(
                    dated.changes_at(now, days * DAY_S)
                    for dated in (self._deployments, self._leads, self._restores)
                    for days in WINDOWS_DAYS
                )
                - _MARGIN_S
            )
        return self._figures

    def _window(self, now: float, days: int) -> DoraFigures:
        since = now - days * DAY_S
        failed = self._deployments.within(since, now)
        return DoraFigures(
            self.project,
            self.environment,
            days,
            deployments=len(failed),
            deployments_per_day=len(failed) / days,
            lead_time_s=_median(self._leads.within(since, now)),
            change_failure_rate=sum(failed) / len(failed) if failed else None,
            time_to_restore_s=_median(self._restores.within(since, now)),
        )


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
