"""Which changes a deployment delivered: those that became its revision, or that its artifact was made of."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed
from ansflow_gateway.folding.dora_facts import EARLY_S, FOLLOWED_S, Artifacts, Changes, bare
from ansflow_gateway.folding.dora_shelves import Homes


class Delivered(NamedTuple):
    """A change that a deployment holds.

    Args:
        change: The change's key.
        begun_at: When it was created, or merged where that is all that is known, in seconds since the epoch.
    """

    change: str
    begun_at: float


class Links:
    """Changes, artifacts, and how deployments refer to them.

    A commit says nothing of those before it; so only the change that became the very revision that was
    deployed is found, or those that its artifact names.

    Args:
        limit: Most projects with changes; those after them share one place.
    """

    def __init__(self, limit: int) -> None:
        self._changes = Changes(Homes(limit))
        self._artifacts = Artifacts()
        self.maps = (self._changes.map, self._artifacts.map)

    def loaded(self) -> None:
        """Go on with what was loaded into the maps."""
        self._changes.loaded()
        self._artifacts.loaded()

    def add(self, fact: ChangeMerged | ArtifactMade) -> Iterable[str]:
        """Keep a change, or what an artifact was made of.

        Args:
            fact: It.

        Returns:
            The bare revisions whose deployments may deliver something else now.
        """
        touched: set[str] = set()
        if isinstance(fact, ArtifactMade):
            touched.update(bare(move.fact.artifact) for move in self._artifacts.add(fact))
        else:
            for move in self._changes.add(fact):
                change = move.fact
                touched.add(bare(change.revision))
                for name in (change.revision, change.change_id):
                    if name is not None:
                        touched.update(bare(each.artifact) for each in self._artifacts.made_of(name))
        return touched

    def expire(self, now: float) -> None:
        """Forget what can't change a figure any more.

        Args:
            now: Present time, in seconds since the epoch.
        """
        self._changes.expire(now)
        self._artifacts.expire(now)

    def delivered(self, deployment: Deployed) -> Sequence[Delivered]:
        """Find the changes that a deployment holds, whether it was the first or not.

        Args:
            deployment: It.

        Returns:
            The changes, each once.
        """
        if deployment.revision is None:
            return ()
        return tuple(self._find(deployment, bare(deployment.revision)))

    def _find(self, deployment: Deployed, revision: str) -> Iterator[Delivered]:
        found = self._attributable(deployment, revision)
        for artifact in self._artifacts.of(revision):
            number = self._changes.numbered(deployment.project, artifact.change)
            found |= self._attributable(deployment, bare(artifact.change), number, artifact.made_at)
        for key, change in found.items():
            yield Delivered(key, change.merged_at if change.created_at is None else change.created_at)

    def _attributable(
        self, deployment: Deployed, revision: str, number: str | None = None, made_at: float = math.inf
    ) -> dict[str, ChangeMerged]:
        """Take the project's own changes; where it has none, those of one other: it may be its repository.

        Where several others have a change of that name, nobody knows whose it is, and none is counted.
        """

        def may_hold(change: ChangeMerged) -> bool:
            in_time = -EARLY_S <= deployment.at - change.merged_at <= FOLLOWED_S
            return in_time and made_at >= change.merged_at - EARLY_S

        project = deployment.project
        own = dict(self._changes.find_of(project, revision))
        if number is not None:
            own.update(self._changes.find_of(project, number))
        own = {key: change for key, change in own.items() if may_hold(change)}
        if own:
            return own
        others: dict[str, ChangeMerged] = {}
        whose: str | None = None
        for key, change in self._changes.find(revision):
            if may_hold(change):
                if whose not in {None, change.project}:
                    return {}  # without looking at the rest: everybody may have a v1.0.0
                whose = change.project
                others[key] = change
        return others
