"""Facts for tests of DORA figures, and figures as the oracle has them."""

from collections.abc import Iterable
from dataclasses import astuple

import msgspec
from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed, DeploymentKind, IncidentUpdate
from ansflow_gateway.folding.dora import Dora
from ansflow_gateway.folding.dora_figures import DoraFigures
from hypothesis import strategies as st

from support.dora_oracle import DAY, Fact, Key, Row, Told

T = 1_800_000_000.0
HOUR = 3600.0
SHOP = "shop"
PRODUCTION = "production"
NOWS = (T, T + 3 * DAY, T + 6.5 * DAY, T + 40 * DAY, T + 95 * DAY)
MANY = 10_000

PROJECTS = st.sampled_from((SHOP, "acme/shop", "acme/cart"))
ENVIRONMENTS = st.sampled_from((PRODUCTION, "staging"))
REVISIONS = st.sampled_from(
    ("a1", "b2", "12", "pkg:oci/shop@1", "pkg:oci/shop@1?repository_url=r.example", "pkg:oci/shop@2#sub")
)
# Mostly of late, so that facts meet each other; some beyond every limit; some on a window's very edge.
TIMES = st.one_of(
    st.integers(-24 * 100, 48).map(lambda hours: T + hours * HOUR),
    st.integers(-24 * 500, 48).map(lambda hours: T + hours * HOUR),
    st.sampled_from([-480, -360, -270, -180, -90, -30, -7, 0]).map(lambda days: T + days * DAY),
)


def figures(dora: Dora, now: float) -> dict[Key, Row]:
    """Read the figures as the oracle gives them."""
    return {
        (row.project, row.environment, row.window_days): Row(*astuple(row)[3:]) for row in dora.figures(now)
    }


def fed(told: Iterable[Told], limit: int = 100) -> Dora:
    """Take facts in as the book does."""
    dora = Dora(limit)
    for fact, received in told:
        dora.apply(fact, received)
    return dora


def restarted(dora: Dora, saved: dict[str, bytes], limit: int = 100) -> Dora:
    """Save what changed, and go on from what was saved in all."""
    for shelf in dora.maps:
        for row, encoded in shelf.changed():
            if encoded is None:
                saved.pop(row, None)
            else:
                saved[row] = encoded
    again = Dora(limit)
    maps = {shelf.prefix: shelf for shelf in again.maps}
    for row, encoded in saved.items():
        prefix, _, key = row.partition("\0")
        maps[prefix].load(key, encoded)
    again.loaded()
    return again


def deployed(
    name: str,
    at: float,
    revision: str | None = None,
    *,
    project: str = SHOP,
    environment: str = PRODUCTION,
    kind: DeploymentKind = DeploymentKind.DEPLOYED,
) -> Deployed:
    """Make a deployment."""
    return Deployed(project, environment, kind, at, name, revision)


def now_of(*facts: Fact, days: int = 7, environment: str = PRODUCTION, now: float = T) -> DoraFigures:
    """Give one window's figures of the shop."""
    (found,) = [
        row
        for row in fed((fact, T) for fact in facts).figures(now)
        if (row.project, row.environment, row.window_days) == (SHOP, environment, days)
    ]
    return found


@st.composite
def facts_told(draw: st.DrawFn) -> list[Told]:
    """Draw facts that refer to each other, some told twice, some told again in another way."""
    facts: list[Fact] = [
        Deployed(
            draw(PROJECTS),
            draw(ENVIRONMENTS),
            draw(st.sampled_from((DeploymentKind.DEPLOYED, DeploymentKind.DEPLOYED, *DeploymentKind))),
            draw(TIMES),
            f"d{number}",
            draw(st.none() | REVISIONS),
        )
        for number in range(draw(st.integers(0, 12)))
    ]
    for project, revision in draw(st.lists(st.tuples(PROJECTS, REVISIONS), max_size=8, unique=True)):
        merged = draw(TIMES)
        open_h = draw(st.none() | st.integers(-48, 900))
        created = None if open_h is None else merged - open_h * HOUR
        facts.append(
            ChangeMerged(project, revision, merged, created, draw(st.sampled_from((None, "12", "13"))))
        )
    for artifact, change in draw(
        st.lists(st.tuples(REVISIONS, st.sampled_from(("a1", "b2", "12", "13"))), max_size=6, unique=True)
    ):
        facts.append(ArtifactMade(artifact, change, draw(TIMES)))
    for number in range(draw(st.integers(0, 5))):
        project, detected = draw(PROJECTS), draw(TIMES)
        where, what = draw(st.none() | ENVIRONMENTS), draw(st.none() | REVISIONS)
        if draw(st.integers(0, 5)):
            facts.append(IncidentUpdate(f"i{number}", project, detected, False, where, what))
        if draw(st.booleans()):
            resolved = detected + draw(st.integers(-24, 24 * 200)) * HOUR
            facts.append(
                IncidentUpdate(f"i{number}", project, resolved, True, draw(st.none() | ENVIRONMENTS))
            )
    if facts:
        again = draw(st.lists(st.sampled_from(facts), max_size=6))
        facts += again
        facts += [otherwise(fact) for fact in draw(st.lists(st.sampled_from(facts), max_size=3))]
    late = draw(
        st.lists(
            st.sampled_from((0.0, HOUR, 20 * DAY, -HOUR, -2 * DAY)),
            min_size=len(facts),
            max_size=len(facts),
        )
    )
    return [(fact, min(T, own_time(fact) + delay)) for fact, delay in zip(facts, late, strict=True)]


def own_time(fact: Fact) -> float:
    """Return when what a fact tells happened."""
    match fact:
        case ChangeMerged():
            return fact.merged_at
        case ArtifactMade():
            return fact.made_at
    return fact.at


def otherwise(fact: Fact) -> Fact:
    """Tell a fact in another way, an hour later."""
    match fact:
        case ChangeMerged():
            return msgspec.structs.replace(fact, merged_at=fact.merged_at + HOUR, change_id="14")
        case ArtifactMade():
            return msgspec.structs.replace(fact, made_at=fact.made_at + HOUR)
    return msgspec.structs.replace(fact, at=fact.at + HOUR, revision="b2")
