"""Which projects had a finished run lately."""

import heapq
from collections.abc import Callable, Sequence
from typing import Final

CAPACITY: Final = 100_000
"""Most projects held at once; the count saturates there."""


class ActiveProjects:
    """Counts the projects with a finished run within a sliding window.

    One owner calls `seen` and `expire`; any thread may read `count`, a plain integer that is replaced whole.

    Args:
        window_s: Length of the window, in seconds.
        clock: Present time in seconds since the epoch: events carry times of the same scale.
    """

    def __init__(self, window_s: float, clock: Callable[[], float]) -> None:
        self._window_s = window_s
        self._clock = clock
        self._last_seen: dict[str, float] = {}
        # One entry a project, not one an event: a stale entry is renewed when its turn to expire comes.
        self._due: list[tuple[float, str]] = []
        self.count = 0

    def seen(self, project: str, at: float | None) -> None:
        """Note a finished run.

        Args:
            project: The project's name.
            at: When the run ended, in seconds since the epoch; None is now, and so is a time in the future.
                A time before the window changes nothing.
        """
        now = self._clock()
        moment = now if at is None else min(at, now)
        if moment > now - self._window_s:
            if project in self._last_seen:
                self._last_seen[project] = max(self._last_seen[project], moment)
            elif len(self._last_seen) < CAPACITY:
                self._last_seen[project] = moment
                heapq.heappush(self._due, (moment, project))
        self.count = len(self._last_seen)

    def expire(self) -> Sequence[str]:
        """Forget what has left the window, and publish the count.

        Returns:
            The projects that were forgotten.
        """
        gone: list[str] = []
        horizon = self._clock() - self._window_s
        while self._due and self._due[0][0] <= horizon:
            _, project = self._due[0]
            last = self._last_seen[project]
            if last > horizon:
                heapq.heapreplace(self._due, (last, project))
            else:
                heapq.heappop(self._due)
                del self._last_seen[project]
                gone.append(project)
        self.count = len(self._last_seen)
        return gone
