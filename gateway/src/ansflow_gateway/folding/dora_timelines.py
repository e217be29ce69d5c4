"""Who has DORA figures of his own: as many projects and environments as there may be series."""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence

import msgspec

from ansflow_gateway.domain.labels import OVERFLOW
from ansflow_gateway.folding.dora_facts import WINDOWS_DAYS
from ansflow_gateway.folding.dora_figures import DoraFigures, Moment, Timeline, What
from ansflow_gateway.folding.state import StateMap

Label = tuple[str, str]
"""A project and an environment, or twice `OVERFLOW`."""


class _Place(msgspec.Struct, frozen=True):
    """That a project has figures of its own in an environment."""


class _Account:
    """The timeline that a project's moments in an environment are on, and how many of them there are."""

    __slots__ = ("moments", "timeline")

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.moments = 0


class Timelines:
    """Gives each project and environment a timeline; those that come when all are taken share one.

    One that has a place keeps it, also over a restart, as long as there is anything to be told of it; so does
    one that shares until then, and so what happened is never torn apart. One owner calls it.

    Args:
        limit: Most series of a gauge, one more allowed, those of the overflow among them: a timeline comes to
            one for each window.
        turned_away: Is told who shares, when it is new.
    """

    def __init__(self, limit: int, turned_away: Callable[[str, str], None]) -> None:
        self._most = max(0, (limit + 1) // len(WINDOWS_DAYS) - 1)
        self._turned_away = turned_away
        self.map: StateMap[_Place] = StateMap("dora_place", _Place)
        self._accounts: dict[Label, _Account] = {}
        self._timelines: dict[Label, Timeline] = {}
        self._labels: list[Label] = []
        self._figures: Sequence[DoraFigures] = ()
        self._since, self._until = math.inf, -math.inf

    def loaded(self) -> None:
        """Give the places of those away of whom nothing was loaded."""
        for key in [key for key, _ in self.map.items() if tuple(key.split("\0")) not in self._accounts]:
            self.map.remove(key)

    def replace(
        self, home: str, project: str, environment: str, what: What, old: Moment | None, new: Moment | None
    ) -> None:
        """Put one moment in the place of another, either of which may be none.

        Args:
            home: Where the project's facts are: in `OVERFLOW`, they have no figures of their own.
            project: The project.
            environment: Where it happened.
            what: What happened.
            old: The moment that isn't true any more; it was told before.
            new: The moment that is.
        """
        label = (project, environment)
        account = self._accounts.get(label)
        if account is None:
            account = self._accounts[label] = _Account(self._open(home, label))
        account.timeline.replace(what, old, new)
        account.moments += (new is not None) - (old is not None)
        self._since = math.inf
        if not account.moments:
            self._close(label)

    def figures(self, now: float) -> Sequence[DoraFigures]:
        """Return the figures of all, by project, environment and window; the same object if nothing changed.

        Args:
            now: Where the windows end, in seconds since the epoch.
        """
        if not self._since <= now < self._until:
            timelines = [self._timelines[label] for label in self._labels]
            self._figures = [row for each in timelines for row in each.figures(now)]
            self._since, self._until = now, min((each.until for each in timelines), default=math.inf)
        return self._figures

    def _open(self, home: str, label: Label) -> Timeline:
        key = "\0".join(label)
        if key not in self.map:
            if home == OVERFLOW or len(self.map) >= self._most:
                self._turned_away(*label)
                label = (OVERFLOW, OVERFLOW)
            else:
                self.map.put(key, _Place())
        timeline = self._timelines.get(label)
        if timeline is None:
            timeline = self._timelines[label] = Timeline(*label)
            insort(self._labels, label)
        return timeline

    def _close(self, label: Label) -> None:
        timeline = self._accounts.pop(label).timeline
        key = "\0".join(label)
        if key in self.map:
            self.map.remove(key)
        if timeline.empty:
            shown = (timeline.project, timeline.environment)
            del self._timelines[shown]
            del self._labels[bisect_left(self._labels, shown)]
