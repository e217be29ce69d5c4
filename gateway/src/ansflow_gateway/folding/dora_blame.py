"""Which deployment is live when, and so to blame for roll-backs and incidents.

A deployment is live from its time on. A roll-back blames what is live, and makes another live. What depends
on a fact that comes or goes is looked at again, by time, and no further than anything changes: roll-backs
that follow it, that name its revision, or that undo the deployment after it; and incidents.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import Final

from ansflow_gateway.folding.dora_facts import BLAMED_S, FOLLOWED_S, RETURNED_S, Incident, bare
from ansflow_gateway.folding.dora_figures import Moment, What
from ansflow_gateway.folding.dora_lines import (
    NOWHERE,
    Deployment,
    Line,
    Place,
    RollBack,
    Suspicion,
    Turn,
    Where,
)

UNKNOWN: Final = "unknown"
"""Environment of an incident that names none and that no deployment is blamed for."""

Replace = Callable[[str, What, Moment | None, Moment | None], None]
"""Puts one moment in the place of another, in an environment."""


class Blame:
    """Who is to blame for what happened to one project. One owner calls it.

    Args:
        replace: Where failures of deployments, and ends of incidents, are told.
        of_revision: Gives the keys of the deployments of a bare revision, other projects' among them.
    """

    def __init__(self, replace: Replace, of_revision: Callable[[str], Iterable[str]]) -> None:
        self._replace = replace
        self._of_revision = of_revision
        self._turns: dict[str, Turn] = {}
        self._suspicions: dict[str, Suspicion] = {}
        # All turns of each environment that has any; of others only what somebody looks for.
        self._lines: dict[Where, Line] = {}
        # Of each deployment, by its key, the roll-backs that made the one before it live.
        self._undoing: dict[str, set[Place]] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing has happened."""
        return not self._turns and not self._suspicions

    def came(self, turn: Turn) -> None:
        """Take a deployment or a roll-back in."""
        self._line((turn.fact.environment, None))
        if isinstance(turn, RollBack) and turn.revision is not None:
            self._look((turn.fact.environment, turn.revision), turn.place)
        self._turns[turn.place[1]] = turn
        for line in self._lines_of(turn):
            insort(line.turns, turn.place)
        if isinstance(turn, RollBack):
            self._take(turn)
        self._settle(turn)

    def went(self, key: str) -> Turn:
        """Forget a deployment or a roll-back; return it."""
        turn = self._turns[key]
        for line in self._lines_of(turn):
            line.remove(turn.place)
        self._settle(turn)
        del self._turns[key]
        if isinstance(turn, RollBack):
            self._result(turn, blamed=None, live=None, undone=None)
            if turn.revision is not None:
                self._overlook((turn.fact.environment, turn.revision), turn.place)
        self._drop((turn.fact.environment, None))
        return turn

    def happened(self, key: str, incident: Incident) -> None:
        """Take an incident in.

        Args:
            key: Its key.
            incident: It; one whose detection nobody told is nobody's fault, and took no time.
        """
        if incident.detected is not None:
            revision = None if incident.revision is None else bare(incident.revision)
            suspicion = Suspicion((incident.detected.at, key), (incident.environment, revision), incident)
            self._suspicions[key] = suspicion
            self._attribute(suspicion, self._look(suspicion.where, suspicion.place))

    def unhappened(self, key: str) -> None:
        """Forget an incident."""
        suspicion = self._suspicions.pop(key, None)
        if suspicion is not None:
            self._overlook(suspicion.where, suspicion.place)
            self._accuse(suspicion, None)
            self._restore(suspicion, None)

    def _line(self, where: Where) -> Line:
        line = self._lines.get(where)
        if line is None:
            line = self._lines[where] = Line(sorted(self._places(*where)))
        return line

    def _places(self, environment: str | None, revision: str | None) -> Iterator[Place]:
        for key in self._turns if revision is None else self._of_revision(revision):
            turn = self._turns.get(key)
            if turn is None or environment not in {None, turn.fact.environment}:
                continue
            if revision is None or isinstance(turn, Deployment):
                yield turn.place

    def _lines_of(self, turn: Turn) -> Iterator[Line]:
        revisions: tuple[str | None, ...] = (None,)
        if isinstance(turn, Deployment) and turn.fact.revision is not None:
            revisions = (None, bare(turn.fact.revision))
        for environment in (None, turn.fact.environment):
            for revision in revisions:
                line = self._lines.get((environment, revision))
                if line is not None:
                    yield line

    def _look(self, where: Where, place: Place) -> Line:
        line = self._line(where)
        insort(line.lookers, place)
        return line

    def _overlook(self, where: Where, place: Place) -> None:
        line = self._lines[where]
        del line.lookers[bisect_left(line.lookers, place)]
        self._drop(where)

    def _drop(self, where: Where) -> None:
        line, (environment, revision) = self._lines[where], where
        whole = environment is not None and revision is None
        if not line.lookers and not (whole and line.turns):
            del self._lines[where]

    def _settle(self, turn: Turn) -> None:
        """Look again at what depends on a turn that came or went."""
        pending: list[Place] = []
        self._spread(turn, pending)
        # Each depends only on what is before it, and so is looked at once.
        done = None
        while pending:
            place = heappop(pending)
            rollback = self._turns[place[1]]
            if place == done or not isinstance(rollback, RollBack):
                continue
            done, live = place, rollback.live
            self._take(rollback)
            if rollback.live is not live:
                self._spread(rollback, pending)

    def _spread(self, turn: Turn, pending: list[Place]) -> None:
        """Have incidents attributed anew that depend on a turn, and note the roll-backs that do."""
        for line in self._lines_of(turn):
            for place in line.after(turn.place):
                suspicion = self._suspicions.get(place[1])
                if suspicion is None:
                    heappush(pending, place)
                else:
                    self._attribute(suspicion, line)
        following = self._lines[turn.fact.environment, None].next(turn.place)
        if following is NOWHERE:
            return
        if isinstance(self._turns[following[1]], RollBack):
            heappush(pending, following)
        for place in self._undoing.get(following[1], ()):
            heappush(pending, place)

    def _live_before(self, turn: Turn) -> tuple[Turn | None, Deployment | None]:
        """Return the turn before one in its environment, and what is live between them."""
        key = self._lines[turn.fact.environment, None].before(turn.place)
        before = None if key is None else self._turns[key]
        return before, None if before is None else before.live

    def _take(self, rollback: RollBack) -> None:
        """Find whom a roll-back blames and what it makes live."""
        before, live = self._live_before(rollback)
        target = self._named(rollback)
        if (
            rollback.revision is not None
            and isinstance(before, RollBack)
            and (rollback.revision == before.revision or (target is not None and target is live))
        ):
            # Told by two: nothing else was rolled back.
            self._result(rollback, blamed=None, live=live, undone=None)
            return
        if live is None or (target is not None and target is not live):
            self._result(rollback, blamed=live, live=target, undone=None)
            return
        _, previous = self._live_before(live)
        self._result(rollback, blamed=live, live=previous, undone=live)

    def _named(self, rollback: RollBack) -> Deployment | None:
        """Return the deployment that a roll-back names."""
        if rollback.revision is None:
            return None
        key = self._lines[rollback.fact.environment, rollback.revision].before(rollback.place)
        named = None if key is None else self._turns[key]
        if not isinstance(named, Deployment) or rollback.fact.at - named.fact.at > RETURNED_S:
            return None
        return named

    def _result(
        self,
        rollback: RollBack,
        blamed: Deployment | None,
        live: Deployment | None,
        undone: Deployment | None,
    ) -> None:
        self._accuse(rollback, blamed)
        rollback.live = live
        if rollback.undone is undone:
            return
        if rollback.undone is not None:
            key = rollback.undone.place[1]
            self._undoing[key].discard(rollback.place)
            if not self._undoing[key]:
                del self._undoing[key]
        rollback.undone = undone
        if undone is not None:
            self._undoing.setdefault(undone.place[1], set()).add(rollback.place)

    def _attribute(self, suspicion: Suspicion, line: Line) -> None:
        at, _ = suspicion.place
        key = line.latest(at)
        blamed = None if key is None else self._turns[key].live
        if blamed is not None and at - blamed.fact.at > BLAMED_S:
            blamed = None
        self._accuse(suspicion, blamed)
        self._restore(suspicion, _restored(suspicion.incident, blamed))

    def _accuse(self, blamer: RollBack | Suspicion, blamed: Deployment | None) -> None:
        before, blamer.blamed = blamer.blamed, blamed
        if before is blamed:
            return
        for deployment, step, failed in ((before, -1, 0.0), (blamed, 1, 1.0)):
            if deployment is not None:
                deployment.blamers += step
                if deployment.blamers == failed:  # the last one left, or the first came
                    at = deployment.fact.at
                    old, new = (at, 1.0 - failed), (at, failed)
                    self._replace(deployment.fact.environment, What.DEPLOYMENT, old, new)

    def _restore(self, suspicion: Suspicion, restored: tuple[str, Moment] | None) -> None:
        before, suspicion.restored = suspicion.restored, restored
        if before == restored:
            return
        if restored is not None:
            self._replace(restored[0], What.RESTORE, None, restored[1])
        if before is not None:
            self._replace(before[0], What.RESTORE, before[1], None)


def _restored(incident: Incident, blamed: Deployment | None) -> tuple[str, Moment] | None:
    if incident.detected is None or incident.resolved is None:
        return None
    took = incident.resolved.at - incident.detected.at
    if took > FOLLOWED_S:
        return None
    environment = incident.environment or (UNKNOWN if blamed is None else blamed.fact.environment)
    return environment, (incident.resolved.at, max(0.0, took))
