"""Which changes a deployment delivered: those that became its revision, or that its artifact was made of."""

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
        # By bare revision, then by project and time: a project's history is gone through at each deployment.
        self._found: dict[str, dict[tuple[str, float], Sequence[Delivered]]] = {}
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
            touched.update(bare(each.artifact) for _, each in self._artifacts.add(fact))
        else:
            for _, change in self._changes.add(fact):
                touched.add(bare(change.revision))
                for name in (change.revision, change.change_id):
                    if name is not None:
                        touched.update(bare(each.artifact) for each in self._artifacts.made_of(name))
        for revision in touched:
            self._found.pop(revision, None)
        return touched

    def gone(self, deployment: Deployed) -> None:
        """Forget what was found for a deployment that is there no more."""
        if deployment.revision is not None:
            self._found.pop(bare(deployment.revision), None)

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
        revision = bare(deployment.revision)
        known = self._found.setdefault(revision, {})
        place = (deployment.project, deployment.at)
        found = known.get(place)
        if found is None:
            found = known[place] = tuple(self._find(deployment, revision))
        return found

    def _find(self, deployment: Deployed, revision: str) -> Iterator[Delivered]:
        found = _attributable(deployment, self._within(deployment, self._changes.find(revision)))
        for artifact in self._artifacts.of(revision):
            found |= self._inside(deployment, artifact)
        for key, change in found.items():
            yield Delivered(key, change.merged_at if change.created_at is None else change.created_at)

    def _inside(self, deployment: Deployed, artifact: ArtifactMade) -> dict[str, ChangeMerged]:
        named = dict(self._changes.find(bare(artifact.change)))
        named.update(self._changes.find(self._changes.numbered(deployment.project, artifact.change)))
        made = {key: each for key, each in named.items() if artifact.made_at >= each.merged_at - EARLY_S}
        return _attributable(deployment, self._within(deployment, made.items()))

    @staticmethod
    def _within(
        deployment: Deployed, changes: Iterable[tuple[str, ChangeMerged]]
    ) -> Iterator[tuple[str, ChangeMerged]]:
        for key, change in changes:
            if -EARLY_S <= deployment.at - change.merged_at <= FOLLOWED_S:
                yield key, change


def _attributable(
    deployment: Deployed, changes: Iterable[tuple[str, ChangeMerged]]
) -> dict[str, ChangeMerged]:
    """Take the project's own changes; where it has none, those of one other: a service and its repository.

    Where several others have a change of that name, nobody knows whose it is, and none is counted.
    """
    found = dict(changes)
    own = {key: change for key, change in found.items() if change.project == deployment.project}
    if own or len({change.project for change in found.values()}) <= 1:
        return own or found
    return {}
