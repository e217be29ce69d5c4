"""What happened to a project in order of time, and who looks for the latest of it."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from ansflow_gateway.domain.events import Deployed
from ansflow_gateway.folding.dora_facts import Incident, bare
from ansflow_gateway.folding.dora_figures import Moment

Where = tuple[str | None, str | None]
"""The environment and the bare revision that somebody looks for the latest of; None is any."""

Place = tuple[float, str]
"""A time, in seconds since the epoch, and a key, by which those of the same time are told apart. Of one time
and environment, a deployment is before a roll-back."""

NOWHERE: Final[Place] = (float("inf"), "")
"""After all others."""


class Deployment:
    """A deployment that reached production.

    Attributes:
        fact: What was told of it.
        place: Where it is among others.
        delivered: When the changes in it were begun, by their keys.
        blamers: How many roll-backs and incidents it is blamed for.
    """

    __slots__ = ("blamers", "delivered", "fact", "place")

    def __init__(self, key: str, fact: Deployed) -> None:
        self.fact = fact
        self.place: Place = (fact.at, key)
        self.delivered: dict[str, float] = {}
        self.blamers = 0

    @property
    def live(self) -> "Deployment":
        """What is live after it: itself."""
        return self


class RollBack:
    """A roll-back.

    Attributes:
        fact: What was told of it.
        place: Where it is among others.
        revision: The bare revision that is there afterwards, if it names one.
        live: The deployment that is live after it.
        blamed: The deployment that it is the failure of.
        undone: The deployment whose predecessor is live after it, where it was found by that.
    """

    __slots__ = ("blamed", "fact", "live", "place", "revision", "undone")

    def __init__(self, key: str, fact: Deployed) -> None:
        self.fact = fact
        self.place: Place = (fact.at, key)
        self.revision = None if fact.revision is None else bare(fact.revision)
        self.live: Deployment | None = None
        self.blamed: Deployment | None = None
        self.undone: Deployment | None = None


Turn = Deployment | RollBack
"""What changes what is live."""


class Suspicion:
    """An incident that some deployment is to blame for.

    Attributes:
        place: Where it is among others.
        where: What it is the fault of.
        incident: The incident.
        blamed: The deployment.
        restored: In which environment the incident was resolved, and when.
    """

    __slots__ = ("blamed", "incident", "place", "restored", "where")

    def __init__(self, place: Place, where: Where, incident: Incident) -> None:
        self.place = place
        self.where = where
        self.incident = incident
        self.blamed: Deployment | None = None
        self.restored: tuple[str, Moment] | None = None


class Line:
    """Some turns, and those who look for the latest of them, by time."""

    __slots__ = ("lookers", "turns")

    def __init__(self, turns: Sequence[Place]) -> None:
        self.turns = list(turns)
        self.lookers: list[Place] = []

    def remove(self, turn: Place) -> None:
        """Take a turn out; one that was forgotten while the line was made isn't there."""
        number = bisect_left(self.turns, turn)
        if self.turns[number : number + 1] == [turn]:
            del self.turns[number]

    def latest(self, at: float) -> str | None:
        """Return the key of the latest turn at or before a time; None where there is none."""
        number = bisect_right(self.turns, at, key=_time)
        return self.turns[number - 1][1] if number else None

    def before(self, place: Place) -> str | None:
        """Return the key of the turn before a place; None where there is none."""
        number = bisect_left(self.turns, place)
        return self.turns[number - 1][1] if number else None

    def next(self, place: Place) -> Place:
        """Return the turn after a place; `NOWHERE` where there is none."""
        number = bisect_right(self.turns, place)
        return self.turns[number] if number < len(self.turns) else NOWHERE

    def after(self, place: Place) -> Sequence[Place]:
        """Return those who look at or after a turn, before the next, whether it is there or not."""
        until, _ = self.next(place)
        return self.lookers[
            bisect_left(self.lookers, place[0], key=_time) : bisect_left(self.lookers, until, key=_time)
        ]


def _time(place: Place) -> float:
    return place[0]
