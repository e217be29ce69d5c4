"""What happened to a project, out of all that was told: what deployments delivered, and which failed."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ansflow_gateway.domain.events import Deployed, DeploymentKind
from ansflow_gateway.folding.dora_facts import BLAMED_S, FOLLOWED_S, Incident, bare
from ansflow_gateway.folding.dora_figures import Happened
from ansflow_gateway.folding.dora_links import Delivered

UNKNOWN: Final = "unknown"
"""Environment of an incident that names none and that no deployment is blamed for."""


class _Deployed:
    """The deployments that reached production, and which of them was the latest when.

    Args:
        deployments: They, by time, then environment, then id.
    """

    def __init__(self, deployments: Sequence[Deployed]) -> None:
        self.all = deployments
        self.failed = [0.0] * len(deployments)
        self._all_times = _Times()
        self._of_environment: dict[str, _Times] = defaultdict(_Times)
        self._of_revision: dict[tuple[str | None, str], _Times] | None = None
        for number, each in enumerate(deployments):
            self._all_times.add(each.at, number)
            self._of_environment[each.environment].add(each.at, number)

    def latest(self, at: float, environment: str | None, revision: str | None = None) -> int | None:
        """Find the number of the latest deployment at or before a time; None where there is none.

        Args:
            at: The time, in seconds since the epoch.
            environment: Where; None is anywhere.
            revision: Of what; None is of anything.
        """
        if revision is not None:
            times = self._revisions().get((environment, bare(revision)))
        elif environment is not None:
            times = self._of_environment.get(environment)
        else:
            times = self._all_times
        return times.latest(at) if times else None

    def _revisions(self) -> Mapping[tuple[str | None, str], "_Times"]:
        # Made when the first incident names one: most projects' never do.
        if self._of_revision is None:
            self._of_revision = defaultdict(_Times)
            for number, each in enumerate(self.all):
                if each.revision is not None:
                    for environment in (each.environment, None):
                        self._of_revision[environment, bare(each.revision)].add(each.at, number)
        return self._of_revision


class _Times:
    """Numbers of deployments by time."""

    def __init__(self) -> None:
        self._at: list[float] = []
        self._numbers: list[int] = []

    def add(self, at: float, number: int) -> None:
        """Add a deployment, later than all before or at the same time."""
        self._at.append(at)
        self._numbers.append(number)

    def latest(self, at: float) -> int | None:
        """Return the latest at or before a time; None where there is none."""
        place = bisect_right(self._at, at)
        return self._numbers[place - 1] if place else None


def happened(
    facts: Iterable[Deployed],
    incidents: Sequence[Incident],
    delivered: Callable[[Deployed], Sequence[Delivered]],
) -> Mapping[str, Happened]:
    """Work out what happened to a project.

    Args:
        facts: Its deployments and roll-backs, by time, then environment, kind and id.
        incidents: Its incidents.
        delivered: Gives the changes that a deployment holds.

    Returns:
        What happened, by environment.
    """
    facts = list(facts)
    deployed = _Deployed([fact for fact in facts if fact.kind is DeploymentKind.DEPLOYED])
    found: dict[str, Happened] = defaultdict(Happened)
    for fact in facts:
        if fact.kind is DeploymentKind.ROLLED_BACK:
            number = deployed.latest(fact.at, fact.environment)
            if number is not None:
                deployed.failed[number] = 1.0
    for incident in incidents:
        _attribute(incident, deployed, found)
    _deliver(deployed, delivered, found)
    return found


def _attribute(incident: Incident, deployed: _Deployed, found: dict[str, Happened]) -> None:
    if incident.detected is None:
        return
    detected_at = incident.detected.at
    number = deployed.latest(detected_at, incident.environment, incident.revision)
    if number is not None and detected_at - deployed.all[number].at > BLAMED_S:
        number = None
    if number is not None:
        deployed.failed[number] = 1.0
    if incident.resolved is None or incident.resolved.at - detected_at > FOLLOWED_S:
        return
    environment = incident.environment or (UNKNOWN if number is None else deployed.all[number].environment)
    resolved_at = incident.resolved.at
    found[environment].restores.append((resolved_at, max(0.0, resolved_at - detected_at)))


def _deliver(
    deployed: _Deployed,
    delivered: Callable[[Deployed], Sequence[Delivered]],
    found: dict[str, Happened],
) -> None:
    known: dict[str, set[str]] = defaultdict(set)
    for deployment, failed in zip(deployed.all, deployed.failed, strict=True):
        there, before = found[deployment.environment], known[deployment.environment]
        there.deployments.append((deployment.at, failed))
        for change, begun_at in delivered(deployment):
            if change not in before:
                before.add(change)
                there.leads.append((deployment.at, max(0.0, deployment.at - begun_at)))
