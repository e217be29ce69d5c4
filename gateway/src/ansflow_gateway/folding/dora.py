"""DORA's figures, by project and environment, over windows of 7, 30 and 90 days that end now.

They follow DORA's published metrics (https://dora.dev/guides/dora-metrics-four-keys/) as far as events can
tell; the facts are those of CDEvents (https://github.com/cdevents/spec/blob/v0.5.0/continuous-deployment.md)
and of webhooks alike. A fact is in a window if its own time is: after the window's beginning, at or before
its end. It doesn't matter when it was told: late, twice, or before what it refers to.

**Deployment frequency.** Successful deployments by the days of the window. A deployment that failed never was
in production: it is in no figure. A roll-back is no deployment.

**Lead time for changes.** From a change's creation, or from its merge where that is all that is known, to the
first successful deployment to the environment that has it; the median over the changes of the window's
deployments. A deployment has the change that became its revision, or that its artifact was made of; which
commits are below these no event tells. Of a purl, qualifiers and subpath don't count. A change's own id (the
number of a pull request) is understood within its project; its revision everywhere, the deployed project's
own changes first, and not at all where several other projects have one of that name. A time below zero, as
clocks differ, is zero. A change is followed for 180 days after its merge, and may be packaged and deployed
up to 30 days before.

**Change failure rate.** The share of the successful deployments that failed in use, each once at most: those
rolled back, which is the latest deployment of project and environment at or before the roll-back; and those
blamed for an incident. That is the latest deployment at or before the detection, and at most 90 days before:
of the revision that the incident names, if it names one, else of any; in the environment that it names, if it
does, else in any. So an incident of a revision that was never deployed is nobody's. The revision of a
roll-back is what is there afterwards, and isn't looked at.

**Time to restore.** From an incident's detection to its resolution; the median over those resolved in the
window. An incident that names no environment is in that of the deployment blamed for it, else in `unknown`.
One that takes more than 180 days isn't measured. Roll-backs don't count here: when the trouble that they end
began nobody tells, and the incident, if there was one, tells it better.

**Limits.** As many projects as the limit says have figures of their own; all that come later are together in
`__overflow__`, where each is still judged by its own events. Facts are forgotten when they can't change a
figure any more, and the oldest of a project when it has more than `MOST_PER_PROJECT`. A fact told more than a
day ahead of its time is a clock's mistake, and isn't used.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed, DeploymentKind, IncidentUpdate
from ansflow_gateway.folding.dora_facts import DAY_S, Deployments, Incident, Incidents
from ansflow_gateway.folding.dora_figures import DoraFigures, Happened, Timeline
from ansflow_gateway.folding.dora_history import happened
from ansflow_gateway.folding.dora_links import Links
from ansflow_gateway.folding.dora_shelves import Homes
from ansflow_gateway.folding.state import StateMap

AHEAD_S: Final = DAY_S
"""How far ahead of its receipt a fact's time may be."""

EXPIRE_EVERY_S: Final = 3600.0
"""How often facts are forgotten: they leave by the day."""

Fact = ChangeMerged | ArtifactMade | Deployed | IncidentUpdate


class Dora:
    """Keeps what the figures need, and makes them when they are asked for.

    Figures are a function of the set of facts told and of the time, whatever the order. One owner calls it.

    Args:
        limit: Most projects with figures of their own, at least 1.
    """

    def __init__(self, limit: int) -> None:
        homes = Homes(limit)
        self._deployments = Deployments(homes)
        self._incidents = Incidents(homes)
        self._links = Links(limit)
        self._timelines: dict[str, Sequence[Timeline]] = {}
        self._dirty: set[str] = set()
        self._expire_at = -math.inf
        self._figures: Sequence[DoraFigures] = ()
        self._since, self._until = math.inf, -math.inf
        self.maps: tuple[StateMap[Any], ...] = (
            self._deployments.map,
            self._incidents.map,
            *self._links.maps,
        )

    def loaded(self) -> None:
        """Go on with what was loaded into the maps."""
        self._deployments.loaded()
        self._incidents.loaded()
        self._links.loaded()
        for shelf in (self._deployments, self._incidents):
            self._dirty.update(shelf.homes())

    def apply(self, payload: Fact, at: float) -> None:
        """Take a fact in.

        Args:
            payload: It.
            at: When it came, in seconds since the epoch.
        """
        if _time_of(payload) > at + AHEAD_S:
            return
        match payload:
            case Deployed():
                if payload.kind is not DeploymentKind.FAILED:
                    self._changed(self._deployments.add(payload))
            case IncidentUpdate():
                self._dirty.update(home for home, _ in self._incidents.add(payload))
            case ChangeMerged() | ArtifactMade():
                for revision in self._links.add(payload):
                    self._dirty.update(self._deployments.homes_of(revision))

    def expire(self, now: float) -> None:
        """Forget what can't change a figure any more; mostly, this does nothing.

        Args:
            now: The journal's present time, in seconds since the epoch.
        """
        if now < self._expire_at:
            return
        self._expire_at = now + EXPIRE_EVERY_S
        self._changed(self._deployments.expire(now))
        self._dirty.update(home for home, _ in self._incidents.expire(now))
        self._links.expire(now)

    def figures(self, now: float) -> Sequence[DoraFigures]:
        """Make the figures, as far as something has changed.

        Args:
            now: Where the windows end, in seconds since the epoch.

        Returns:
            Three rows, one a window, for each project and environment with a deployment or a resolved
            incident in the longest; by project, environment and window. The same object as before where
            nothing has changed.
        """
        if self._dirty:
            for home in self._dirty:
                self._timelines[home] = list(self._follow(home))
                if not self._timelines[home]:
                    del self._timelines[home]
            self._dirty.clear()
        elif self._since <= now < self._until:
            return self._figures
        every = [each for home in sorted(self._timelines) for each in self._timelines[home]]
        self._figures = [row for each in every for row in each.figures(now)]
        self._since, self._until = now, min((each.until for each in every), default=math.inf)
        return self._figures

    def _changed(self, deployments: Iterable[tuple[str, Deployed]]) -> None:
        for home, deployment in deployments:
            self._dirty.add(home)
            self._links.gone(deployment)

    def _follow(self, home: str) -> Iterator[Timeline]:
        facts: dict[str, list[Deployed]] = defaultdict(list)
        incidents: dict[str, list[Incident]] = defaultdict(list)
        for fact in self._deployments.at(home):
            facts[fact.project].append(fact)
        for incident in self._incidents.at(home):
            incidents[incident.project].append(incident)
        # Of the overflow, each project is looked at by itself: one's incident isn't another's fault.
        whole: dict[str, Happened] = defaultdict(Happened)
        for project in facts.keys() | incidents.keys():
            there = happened(facts[project], incidents[project], self._links.delivered)
            for environment, what in there.items():
                whole[environment].extend(what)
        for environment in sorted(whole):
            yield Timeline(home, environment, whole[environment])


def _time_of(payload: Fact) -> float:
    match payload:
        case ChangeMerged():
            return payload.merged_at
        case ArtifactMade():
            return payload.made_at
    return payload.at
