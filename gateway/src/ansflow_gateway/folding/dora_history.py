"""What happened to a project, out of all that was told: what deployments delivered, and which failed.

A fact that comes or goes changes what depends on it, and nothing else is looked at. What that is: a
deployment takes over the roll-backs and incidents between it and the next of its kind, and the changes that
nobody delivered before; when it goes, it gives them back.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from ansflow_gateway.domain.events import Deployed, DeploymentKind
from ansflow_gateway.folding.dora_facts import BLAMED_S, FOLLOWED_S, Incident, bare
from ansflow_gateway.folding.dora_figures import Moment, What
from ansflow_gateway.folding.dora_links import Delivered

UNKNOWN: Final = "unknown"
"""Environment of an incident that names none and that no deployment is blamed for."""

Where = tuple[str | None, str | None]
"""The environment and the bare revision that somebody looks for the latest deployment of; None is any."""

Place = tuple[float, str]
"""A time, in seconds since the epoch, and a key, by which those of the same time are told apart."""

Replace = Callable[[str, What, Moment | None, Moment | None], None]
"""Puts one moment in the place of another, in an environment."""


class _Deployment:
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
        self.place = (fact.at, key)
        self.delivered: dict[str, float] = {}
        self.blamers = 0


class _Blamer:
    """A roll-back or an incident: the latest deployment before it is to blame.

    Attributes:
        place: Where it is among others.
        where: What it is the latest deployment of.
        incident: The incident, if it is one.
        blamed: The deployment.
        restored: In which environment the incident was resolved, and when.
    """

    __slots__ = ("blamed", "incident", "place", "restored", "where")

    def __init__(self, place: Place, where: Where, incident: Incident | None) -> None:
        self.place = place
        self.where = where
        self.incident = incident
        self.blamed: _Deployment | None = None
        self.restored: tuple[str, Moment] | None = None


class _Line:
    """The deployments that some look for the latest of, and those who do, by time."""

    __slots__ = ("blamers", "deployments")

    def __init__(self, deployments: Iterable[Place]) -> None:
        self.deployments = sorted(deployments)
        self.blamers: list[Place] = []

    def latest(self, at: float) -> str | None:
        """Return the key of the latest deployment at or before a time; None where there is none."""
        number = bisect_right(self.deployments, at, key=_time)
        return self.deployments[number - 1][1] if number else None

    def after(self, place: Place) -> Sequence[Place]:
        """Return those who come at or after a deployment, before the next, whether it is there or not."""
        following = bisect_right(self.deployments, place)
        until = self.deployments[following][0] if following < len(self.deployments) else math.inf
        return self.blamers[
            bisect_left(self.blamers, place[0], key=_time) : bisect_left(self.blamers, until, key=_time)
        ]


class _Delivery:
    """The deployments of an environment that hold a change, by time, and the moment of the first."""

    __slots__ = ("holders", "moment")

    def __init__(self) -> None:
        self.holders: list[Place] = []
        self.moment: Moment | None = None


class History:
    """What happened to one project. One owner calls it.

    Args:
        replace: Where what happened is told.
        delivered: Gives the changes that a deployment holds.
        of_revision: Gives the keys of the deployments of a bare revision, other projects' among them.
    """

    def __init__(
        self,
        replace: Replace,
        delivered: Callable[[Deployed], Sequence[Delivered]],
        of_revision: Callable[[str], Iterable[str]],
    ) -> None:
        self._replace = replace
        self._delivered = delivered
        self._of_revision = of_revision
        self._deployments: dict[str, _Deployment] = {}
        self._blamers: dict[str, _Blamer] = {}
        # Only of what somebody looks for: most projects have few incidents, or none.
        self._lines: dict[Where, _Line] = {}
        self._deliveries: dict[tuple[str, str], _Delivery] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing has happened."""
        return not self._deployments and not self._blamers

    def deployed(self, key: str, fact: Deployed) -> None:
        """Take a deployment or a roll-back in.

        Args:
            key: Its key, by which those of one time are ordered.
            fact: It.
        """
        if fact.kind is DeploymentKind.ROLLED_BACK:
            self._blame(key, _Blamer((fact.at, key), (fact.environment, None), None))
            return
        deployment = self._deployments[key] = _Deployment(key, fact)
        self._replace(fact.environment, What.DEPLOYMENT, None, (fact.at, 0.0))
        for line in self._lines_of(fact):
            insort(line.deployments, deployment.place)
            self._look_again(line, deployment.place)
        self.redeliver(key)

    def undeployed(self, key: str) -> None:
        """Forget a deployment or a roll-back."""
        deployment = self._deployments.get(key)
        if deployment is None:
            self._unblame(key)
            return
        for line in self._lines_of(deployment.fact):
            del line.deployments[bisect_left(line.deployments, deployment.place)]
            self._look_again(line, deployment.place)
        self._deliver(deployment, {})
        del self._deployments[key]
        self._replace(deployment.fact.environment, What.DEPLOYMENT, (deployment.fact.at, 0.0), None)

    def redeliver(self, key: str) -> None:
        """Find the changes in a deployment, as others may be known now."""
        deployment = self._deployments.get(key)
        if deployment is not None:
            self._deliver(
                deployment, {each.change: each.begun_at for each in self._delivered(deployment.fact)}
            )

    def happened(self, key: str, incident: Incident) -> None:
        """Take an incident in.

        Args:
            key: Its key.
            incident: It; one whose detection nobody told is nobody's fault, and took no time.
        """
        if incident.detected is not None:
            revision = None if incident.revision is None else bare(incident.revision)
            where = (incident.environment, revision)
            self._blame(key, _Blamer((incident.detected.at, key), where, incident))

    def unhappened(self, key: str) -> None:
        """Forget an incident."""
        self._unblame(key)

    def _lines_of(self, fact: Deployed) -> Iterator[_Line]:
        if not self._lines:
            return
        revisions = (None,) if fact.revision is None else (None, bare(fact.revision))
        for environment in (None, fact.environment):
            for revision in revisions:
                line = self._lines.get((environment, revision))
                if line is not None:
                    yield line

    def _blame(self, key: str, blamer: _Blamer) -> None:
        line = self._lines.get(blamer.where)
        if line is None:
            line = self._lines[blamer.where] = _Line(self._places(*blamer.where))
        insort(line.blamers, blamer.place)
        self._blamers[key] = blamer
        self._attribute(blamer, line)

    def _unblame(self, key: str) -> None:
        blamer = self._blamers.pop(key, None)
        if blamer is None:
            return
        line = self._lines[blamer.where]
        del line.blamers[bisect_left(line.blamers, blamer.place)]
        if not line.blamers:
            del self._lines[blamer.where]
        self._accuse(blamer, None)
        self._restore(blamer, None)

    def _places(self, environment: str | None, revision: str | None) -> Iterator[Place]:
        for key in self._deployments if revision is None else self._of_revision(revision):
            found = self._deployments.get(key)
            if found is not None and environment in {None, found.fact.environment}:
                yield found.place

    def _look_again(self, line: _Line, place: Place) -> None:
        """Have those attributed anew who may have blamed a deployment, or may do so now."""
        for _, key in line.after(place):
            self._attribute(self._blamers[key], line)

    def _attribute(self, blamer: _Blamer, line: _Line) -> None:
        at, _ = blamer.place
        key = line.latest(at)
        blamed = None if key is None else self._deployments[key]
        if blamed is not None and blamer.incident is not None and at - blamed.fact.at > BLAMED_S:
            blamed = None
        self._accuse(blamer, blamed)
        if blamer.incident is not None:
            self._restore(blamer, _restored(blamer.incident, blamed))

    def _accuse(self, blamer: _Blamer, blamed: _Deployment | None) -> None:
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

    def _restore(self, blamer: _Blamer, restored: tuple[str, Moment] | None) -> None:
        before, blamer.restored = blamer.restored, restored
        if before == restored:
            return
        if restored is not None:
            self._replace(restored[0], What.RESTORE, None, restored[1])
        if before is not None:
            self._replace(before[0], What.RESTORE, before[1], None)

    def _deliver(self, deployment: _Deployment, delivered: dict[str, float]) -> None:
        before, deployment.delivered = deployment.delivered, delivered
        for change in before.keys() | delivered.keys():
            if before.get(change) == delivered.get(change):
                continue
            held = deployment.fact.environment, change
            delivery = self._deliveries.setdefault(held, _Delivery())
            if change not in delivered:
                del delivery.holders[bisect_left(delivery.holders, deployment.place)]
            elif change not in before:
                insort(delivery.holders, deployment.place)
            self._lead(held, delivery)

    def _lead(self, held: tuple[str, str], delivery: _Delivery) -> None:
        environment, change = held
        moment = None
        if delivery.holders:
            at, key = delivery.holders[0]
            moment = (at, max(0.0, at - self._deployments[key].delivered[change]))
        else:
            del self._deliveries[held]
        before, delivery.moment = delivery.moment, moment
        if moment != before:
            self._replace(environment, What.LEAD, before, moment)


def _restored(incident: Incident, blamed: _Deployment | None) -> tuple[str, Moment] | None:
    if incident.detected is None or incident.resolved is None:
        return None
    took = incident.resolved.at - incident.detected.at
    if took > FOLLOWED_S:
        return None
    environment = incident.environment or (UNKNOWN if blamed is None else blamed.fact.environment)
    return environment, (incident.resolved.at, max(0.0, took))


def _time(place: Place) -> float:
    return place[0]
