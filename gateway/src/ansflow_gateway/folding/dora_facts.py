"""What DORA figures are made of: deployments, incidents, changes and artifacts, as long as they matter."""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final

import msgspec

from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed, IncidentUpdate
from ansflow_gateway.folding.dora_shelves import MOST_FACTS, Homes, Move, Shelf

DAY_S: Final = 86_400.0

WINDOWS_DAYS: Final = (7, 30, 90)
"""The windows, in days, the longest last."""

LONGEST_S: Final = WINDOWS_DAYS[-1] * DAY_S

FOLLOWED_S: Final = 180 * DAY_S
"""A change is followed so long after its merge, an incident after its detection: what takes longer isn't
measured. It is where DORA's slowest class of lead times begins."""

EARLY_S: Final = 30 * DAY_S
"""How long before its merge a change may be packaged and deployed: branches are tried out first."""

BLAMED_S: Final = LONGEST_S
"""How long a deployment may be blamed for incidents."""

RETURNED_S: Final = 180 * DAY_S
"""How long a deployment is found by the revision that a roll-back names."""


def bare(revision: str) -> str:
    """Make revisions comparable: of a purl, its qualifiers and its subpath say where a copy is, not what.

    Args:
        revision: A commit, or an artifact's id.

    Returns:
        It, without those where it is a purl (https://github.com/package-url/purl-spec).
    """
    return revision.partition("#")[0].partition("?")[0] if revision.startswith("pkg:") else revision


class Deployments(Shelf[Deployed]):
    """Deployments and roll-backs; found by revision.

    Args:
        homes: Where projects are.
    """

    # Before the window, one may have been the first to deliver a change that is still followed, or be blamed
    # for an incident that is still open; and what was live then, a roll-back may tell by an older one.
    kept_s: ClassVar[float] = LONGEST_S + FOLLOWED_S + max(EARLY_S, BLAMED_S) + RETURNED_S

    def __init__(self, homes: Homes) -> None:
        super().__init__("dora_deployment", Deployed, homes)

    def add(self, told: Deployed) -> Sequence[Move[Deployed]]:
        """Keep a deployment; see `Shelf.put`."""
        return self.put(told.project, (told.environment, told.kind, told.deployment_id), told)

    def when(self, fact: Deployed) -> float:
        """Return when it was deployed."""
        return fact.at

    def terms(self, fact: Deployed) -> Iterable[str]:
        """Return its revision."""
        return () if fact.revision is None else (bare(fact.revision),)


class Incident(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of an incident.

    Args:
        project: The project it is one of.
        detected: What was said when it was detected.
        resolved: What was said when it was resolved.
    """

    project: str
    detected: IncidentUpdate | None = None
    resolved: IncidentUpdate | None = None

    @property
    def updates(self) -> Sequence[IncidentUpdate]:
        """What was said, its detection first."""
        return [update for update in (self.detected, self.resolved) if update]

    @property
    def environment(self) -> str | None:
        """Where it is, as its detection has it, or else its resolution."""
        return next((update.environment for update in self.updates if update.environment), None)

    @property
    def revision(self) -> str | None:
        """What is at fault, likewise."""
        return next((update.revision for update in self.updates if update.revision), None)


class Incidents(Shelf[Incident]):
    """Incidents.

    Args:
        homes: Where projects are.
    """

    kept_s: ClassVar[float] = LONGEST_S + FOLLOWED_S

    def __init__(self, homes: Homes) -> None:
        super().__init__("dora_incident", Incident, homes)

    def add(self, told: IncidentUpdate) -> Sequence[Move[Incident]]:
        """Keep what was said of an incident; see `Shelf.put`."""
        half = Incident(told.project, resolved=told) if told.resolved else Incident(told.project, told)
        return self.put(told.project, (told.incident_id,), half)

    def when(self, fact: Incident) -> float:
        """Return when something was said of it last."""
        return max(update.at for update in fact.updates)

    def choose(self, known: Incident, told: Incident) -> Incident:
        """Put together what was said when it was detected, and when it was resolved."""
        return Incident(
            known.project,
            _earlier(known.detected, told.detected),
            _earlier(known.resolved, told.resolved),
        )


class Changes(Shelf[ChangeMerged]):
    """Changes; found by revision, and by their own id within the project.

    Args:
        homes: Where projects are.
    """

    # As long as a deployment that is kept could have delivered it: who else could have is asked, too.
    kept_s: ClassVar[float] = LONGEST_S + FOLLOWED_S + EARLY_S + FOLLOWED_S

    def __init__(self, homes: Homes) -> None:
        super().__init__("dora_change", ChangeMerged, homes)

    def add(self, told: ChangeMerged) -> Sequence[Move[ChangeMerged]]:
        """Keep a change; see `Shelf.put`."""
        return self.put(told.project, (told.revision,), told)

    def when(self, fact: ChangeMerged) -> float:
        """Return when it was merged."""
        return fact.merged_at

    def terms(self, fact: ChangeMerged) -> Iterable[str]:
        """Return its revision, and its id with its project."""
        yield bare(fact.revision)
        if fact.change_id is not None:
            yield self.numbered(fact.project, fact.change_id)

    @staticmethod
    def numbered(project: str, change_id: str) -> str:
        """Make the term for a change's own id: two repositories both have a pull request 12."""
        return f"{project}\0{change_id}"


class Artifacts(Shelf[ArtifactMade]):
    """What artifacts were made of; found by either."""

    kept_s: ClassVar[float] = LONGEST_S + FOLLOWED_S + EARLY_S
    most: ClassVar[int] = MOST_FACTS
    _EVERYBODY: ClassVar[str] = ""  # an artifact says nothing of a project

    def __init__(self) -> None:
        super().__init__("dora_artifact", ArtifactMade, Homes(1))

    def add(self, told: ArtifactMade) -> Sequence[Move[ArtifactMade]]:
        """Keep what an artifact was made of; see `Shelf.put`."""
        return self.put(self._EVERYBODY, (told.artifact, told.change), told)

    def when(self, fact: ArtifactMade) -> float:
        """Return when it was made."""
        return fact.made_at

    def choose(self, known: ArtifactMade, told: ArtifactMade) -> ArtifactMade:
        """Take the later: it was packaged, and published afterwards."""
        return max(known, told, key=self.rank)

    def terms(self, fact: ArtifactMade) -> Iterable[str]:
        """Return the artifact, and what it was made of."""
        yield f"artifact\0{bare(fact.artifact)}"
        yield f"change\0{bare(fact.change)}"

    def of(self, revision: str) -> Iterator[ArtifactMade]:
        """Give what is known of an artifact."""
        for _, fact in self.find(f"artifact\0{bare(revision)}"):
            yield fact

    def made_of(self, change: str) -> Iterator[ArtifactMade]:
        """Give the artifacts that were made of a change."""
        for _, fact in self.find(f"change\0{bare(change)}"):
            yield fact


def _earlier(known: IncidentUpdate | None, told: IncidentUpdate | None) -> IncidentUpdate | None:
    both = [update for update in (known, told) if update]
    return min(both, key=lambda update: (update.at, msgspec.msgpack.encode(update)), default=None)
