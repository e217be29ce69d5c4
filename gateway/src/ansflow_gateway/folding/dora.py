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
rolled back, and those blamed for an incident. A deployment is live in its environment until the next one, or
until it is rolled back. A roll-back is the failure of what is live at its time, and makes another live: the
latest deployment of the revision that it names, if one was deployed there within 180 days before; else, and
where that is the very one rolled back, the one that was live before that was deployed. A roll-back right
after another that names the same revision, or what is live by then, is the same one told by two, and nobody's
failure. An incident blames what is live at its detection in the environment that it names, else in the one
where something was deployed or rolled back last; if it names a revision, the latest deployment of that, live
or not: an incident of a revision that was never deployed is nobody's. What was deployed more than 90 days
before an incident isn't blamed for it. Of one time, deployments come first, then roll-backs, then incidents.

**Time to restore.** From an incident's detection to its resolution; the median over those resolved in the
window. An incident that names no environment is in that of the deployment blamed for it, else in `unknown`.
One that takes more than 180 days isn't measured. Roll-backs don't count here: when the trouble that they end
began nobody tells, and the incident, if there was one, tells it better.

**Limits.** As many projects and environments as the limit of series allows have figures of their own, one
series a window; what happens in all others is together in `__overflow__`, project and environment, where each
project is still judged by its own events. Facts are forgotten when they can't change a figure any more, and
the oldest of a project when it has more than `MOST_PER_PROJECT`; those of projects beyond the limit share
that number. A fact told more than a day ahead of its time is a clock's mistake, and isn't used.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed, DeploymentKind, IncidentUpdate
from ansflow_gateway.folding.dora_facts import DAY_S, Deployments, Incident, Incidents
from ansflow_gateway.folding.dora_figures import DoraFigures
from ansflow_gateway.folding.dora_history import History
from ansflow_gateway.folding.dora_links import Links
from ansflow_gateway.folding.dora_shelves import Homes, Move, project_of
from ansflow_gateway.folding.dora_timelines import Timelines
from ansflow_gateway.folding.state import StateMap

AHEAD_S: Final = DAY_S
"""How far ahead of its receipt a fact's time may be."""

EXPIRE_EVERY_S: Final = 3600.0
"""How often facts are forgotten: they leave by the day."""

FEW: Final = 16
"""Deployments of a revision that are looked at for each change told of it; of more, once for several."""

Fact = ChangeMerged | ArtifactMade | Deployed | IncidentUpdate


class Dora:
    """Keeps what the figures need, and brings them up to date as facts come.

    Figures are a function of the set of facts told and of the time, whatever the order. What a fact costs
    depends on what it changes, not on how many there are. One owner calls it.

    Args:
        limit: Most series of each figure that producers may bring about, at least 1.
        turned_away: Is told the project and environment that has no figures of its own, when it is new.
    """

    def __init__(self, limit: int, turned_away: Callable[[str, str], None] = lambda *_: None) -> None:
        homes = Homes(limit)
        self._deployments = Deployments(homes)
        self._incidents = Incidents(homes)
        self._links = Links(limit)
        self._timelines = Timelines(limit, turned_away)
        self._histories: dict[str, History] = {}
        # Revisions that are deployed again and again; looked at once for all that was told since.
        self._touched: set[str] = set()
        self._expire_at = -math.inf
        self.maps: tuple[StateMap[Any], ...] = (
            self._deployments.map,
            self._incidents.map,
            *self._links.maps,
            self._timelines.map,
        )

    def loaded(self) -> None:
        """Go on with what was loaded into the maps."""
        self._deployments.loaded()
        self._incidents.loaded()
        self._links.loaded()
        self._follow_deployments(self._deployments.all())
        self._follow_incidents(self._incidents.all())
        self._timelines.loaded()

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
                    self._follow_deployments(self._deployments.add(payload))
            case IncidentUpdate():
                self._follow_incidents(self._incidents.add(payload))
            case ChangeMerged() | ArtifactMade():
                for revision in self._links.add(payload):
                    # A deployment that comes later looks for itself.
                    if len(self._deployments.keys_of(revision)) > FEW:
                        self._touched.add(revision)
                    else:
                        self._redeliver(revision)

    def expire(self, now: float) -> None:
        """Forget what can't change a figure any more; mostly, this does nothing.

        Args:
            now: The journal's present time, in seconds since the epoch.
        """
        if now < self._expire_at:
            return
        self._expire_at = now + EXPIRE_EVERY_S
        self._follow_deployments(self._deployments.expire(now))
        self._follow_incidents(self._incidents.expire(now))
        self._links.expire(now)

    def figures(self, now: float) -> Sequence[DoraFigures]:
        """Give the figures.

        Args:
            now: Where the windows end, in seconds since the epoch.

        Returns:
            Three rows, one a window, for each project and environment with a deployment or a resolved
            incident in the longest; by project, environment and window. The same object as before where
            nothing has changed, and the same rows of those of whom nothing has.
        """
        for revision in self._touched:
            self._redeliver(revision)
        self._touched.clear()
        return self._timelines.figures(now)

    def _redeliver(self, revision: str) -> None:
        for key in self._deployments.keys_of(revision):
            self._histories[project_of(key)].redeliver(key)

    def _follow_deployments(self, moves: Iterable[Move[Deployed]]) -> None:
        for move in moves:
            history = self._history(move.project, move.home)
            if move.there:
                history.deployed(move.key, move.fact)
            else:
                history.undeployed(move.key)
                self._drop(move.project, history)

    def _follow_incidents(self, moves: Iterable[Move[Incident]]) -> None:
        for move in moves:
            history = self._history(move.project, move.home)
            if move.there:
                history.happened(move.key, move.fact)
            else:
                history.unhappened(move.key)
            self._drop(move.project, history)

    def _history(self, project: str, home: str) -> History:
        history = self._histories.get(project)
        if history is None:
            replace = partial(self._timelines.replace, home, project)
            history = History(replace, self._links.delivered, self._deployments.keys_of)
            self._histories[project] = history
        return history

    def _drop(self, project: str, history: History) -> None:
        if history.empty:
            del self._histories[project]


def _time_of(payload: Fact) -> float:
    match payload:
        case ChangeMerged():
            return payload.merged_at
        case ArtifactMade():
            return payload.made_at
    return payload.at
