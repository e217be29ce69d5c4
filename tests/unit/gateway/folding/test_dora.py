"""DORA figures: whatever is told, in whatever order, they are those of the brute-force oracle."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from itertools import permutations
from typing import Any

import msgspec
import pytest
from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed, DeploymentKind, IncidentUpdate
from ansflow_gateway.domain.labels import OVERFLOW
from ansflow_gateway.folding import dora as dora_module
from ansflow_gateway.folding import dora_shelves
from ansflow_gateway.folding.dora import Dora
from ansflow_gateway.folding.dora_blame import Blame
from ansflow_gateway.folding.dora_facts import Artifacts, Changes, Deployments, Incidents
from ansflow_gateway.folding.dora_figures import DoraFigures
from ansflow_gateway.folding.dora_lines import RollBack
from ansflow_gateway.folding.dora_links import Delivered, Links
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dora_oracle import DAY, Fact, Key, Row, Told, oracle

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


@settings(max_examples=400, deadline=None)
@given(facts_told(), st.randoms(use_true_random=False))
def test_any_order_with_duplicates_gives_the_figures_of_the_oracle(
    told: list[Told], chance: random.Random
) -> None:
    """However facts are shuffled, looked at, forgotten and restarted in between, the end is the same."""
    chance.shuffle(told)
    dora, saved, latest = Dora(100), dict[str, bytes](), -1e18
    for fact, received in told:
        dora.apply(fact, received)
        latest = max(latest, received)
        match chance.randrange(4):
            case 0:
                dora.expire(latest)
            case 1:
                dora.figures(T)
            case 2:
                dora = restarted(dora, saved)
    for now in NOWS:
        assert figures(dora, now) == oracle(told, now)
        dora.expire(now)
        assert figures(dora, now) == oracle(told, now)


@settings(max_examples=60, deadline=None)
@given(facts_told(), st.lists(st.integers(-24 * 10, 24 * 100), max_size=12))
def test_the_figures_follow_the_clock_forth_and_back(told: list[Told], hours: list[int]) -> None:
    """What was made for another time isn't given again."""
    dora = fed(told)
    for hour in hours:
        now = T + hour * HOUR
        assert figures(dora, now) == oracle(told, now)


def test_frequency_counts_what_reached_production() -> None:
    """Failed deployments and roll-backs are none; a window is open where it begins, closed where it ends."""
    found = now_of(
        deployed("edge", T - 7 * DAY),
        deployed("inside", T - 7 * DAY + 1),
        deployed("now", T),
        deployed("future", T + 1),
        deployed("failed", T - DAY, kind=DeploymentKind.FAILED),
        deployed("back", T - 8 * DAY, kind=DeploymentKind.ROLLED_BACK),
    )
    assert (found.deployments, found.deployments_per_day) == (2, 2 / 7)


def test_lead_time_is_the_median_of_first_deliveries() -> None:
    """From the creation where it is known, else from the merge; a later deployment of the same isn't one."""
    found = now_of(
        ChangeMerged(SHOP, "a", T - 5 * HOUR, created_at=T - 10 * HOUR),
        ChangeMerged(SHOP, "b", T - 3 * HOUR),
        deployed("1", T - 4 * HOUR, "a"),
        deployed("2", T - 2 * HOUR, "b"),
        deployed("3", T - HOUR, "a"),
    )
    assert found.lead_time_s == (6 * HOUR + HOUR) / 2


def test_environments_have_lead_times_of_their_own() -> None:
    """What was tried out before reaches production later."""
    facts = (
        ChangeMerged(SHOP, "a", T - 9 * HOUR),
        deployed("1", T - 8 * HOUR, "a", environment="staging"),
        deployed("2", T - 2 * HOUR, "a"),
    )
    assert now_of(*facts, environment="staging").lead_time_s == HOUR
    assert now_of(*facts).lead_time_s == 7 * HOUR


def test_a_clock_ahead_makes_no_negative_time() -> None:
    """A change merged after its deployment took no time; so did an incident resolved before its detection."""
    found = now_of(
        ChangeMerged(SHOP, "a", T),
        deployed("1", T - HOUR, "a"),
        IncidentUpdate("i", SHOP, T - 10, False, PRODUCTION),
        IncidentUpdate("i", SHOP, T - 20, True, PRODUCTION),
    )
    assert (found.lead_time_s, found.time_to_restore_s) == (0.0, 0.0)


@pytest.mark.parametrize("told_as", ["12", "sha"], ids=["number", "commit"])
def test_an_artifact_has_the_changes_that_it_was_made_of(told_as: str) -> None:
    """A purl's qualifiers don't matter, and a change is named by its number or its commit."""
    found = now_of(
        ChangeMerged(SHOP, "sha", T - 3 * HOUR, change_id="12"),
        ArtifactMade(
            "pkg:oci/shop@sha256%3A41c0?repository_url=registry.example/shop", told_as, T - 2 * HOUR
        ),
        deployed("1", T - HOUR, "pkg:oci/shop@sha256%3A41c0"),
    )
    assert found.lead_time_s == 2 * HOUR


@pytest.mark.parametrize(
    ("repositories", "lead"),
    [(["acme/shop"], 2 * HOUR), (["acme/shop", "acme/cart"], None), (["acme/shop", SHOP], 2 * HOUR)],
    ids=["one other", "two others", "its own and another"],
)
def test_a_change_of_another_project_counts_only_if_there_is_no_doubt(
    repositories: list[str], lead: float | None
) -> None:
    """A service and its repository have different names; two repositories may have a change of one name."""
    changes = [ChangeMerged(repository, "change-412", T - 3 * HOUR) for repository in repositories]
    found = now_of(
        *changes,
        ArtifactMade("pkg:oci/s@1", "change-412", T - 2 * HOUR),
        deployed("1", T - HOUR, "pkg:oci/s@1"),
    )
    assert found.lead_time_s == lead


def test_a_pull_requests_number_means_nothing_elsewhere() -> None:
    """The artifact of this project's request 12 doesn't hold the other project's."""
    found = now_of(
        ChangeMerged("acme/cart", "sha", T - 3 * HOUR, change_id="12"),
        ArtifactMade("pkg:oci/s@1", "12", T - 2 * HOUR),
        deployed("1", T - HOUR, "pkg:oci/s@1"),
    )
    assert found.lead_time_s is None


def test_a_roll_back_is_the_failure_of_the_deployment_before_it() -> None:
    """Not of the one after it, nor of another environment's, and told again by another it is the same."""
    found = now_of(
        deployed("1", T - 5 * HOUR, "a"),
        deployed("2", T - 4 * HOUR, "b"),
        deployed("3", T - 4 * HOUR, "b", environment="staging"),
        deployed("2-back", T - 3 * HOUR, "a", kind=DeploymentKind.ROLLED_BACK),
        deployed("2-back-again", T - 2.5 * HOUR, "a", kind=DeploymentKind.ROLLED_BACK),
        deployed("4", T - 2 * HOUR, "c"),
    )
    assert found.change_failure_rate == 1 / 3


def test_a_roll_back_makes_live_what_is_to_blame_from_then_on() -> None:
    """The first roll-back is v2's failure; the incident and the second roll-back are v1's."""
    back = DeploymentKind.ROLLED_BACK
    facts: list[Fact] = [
        deployed("1", T - 5 * HOUR, "v1"),
        deployed("2", T - 4 * HOUR, "v2"),
        deployed("back", T - 3 * HOUR, "v1", kind=back),
        IncidentUpdate("i", SHOP, T - HOUR, False),
        deployed("further back", T - HOUR / 2, "v0", kind=back),
    ]
    for told in permutations(facts):
        assert now_of(*told).change_failure_rate == 1.0
    assert now_of(*facts[:4]).change_failure_rate == 1.0
    assert now_of(*facts[:3], facts[4]).change_failure_rate == 1.0
    assert now_of(*facts[:3]).change_failure_rate == 0.5


@pytest.mark.parametrize(
    ("turns", "blamed"),
    [
        ("d:v1 d:v2 d:v3 r: i", "d:v3 d:v2"),
        ("d:v1 d:v2 d:v3 r: r: i", "d:v3 d:v2 d:v1"),
        ("d:v1 d:v2 d:v3 r:v1 i", "d:v3 d:v1"),
        ("d:v1 d:v2 d:v3 r:v9 i", "d:v3 d:v2"),
        ("d:v1 d:v2 f:v3 r:v3 i", "d:v2 d:v1"),
        ("d:v1 d:v2 d:v3 r:v1 d:v4 r: i", "d:v3 d:v4 d:v1"),
        ("d:v1 d:v2 r:v1 r:v2 i", "d:v2 d:v1"),
        ("d:v1 d:v2 r:v1 r:v1", "d:v2"),
        ("d:v1 d:v2 r: r:v1", "d:v2"),
        ("d:v1 d:v2 d:v3 r:v9 r:v9", "d:v3"),
        ("d:v1 d:v2 r:v2 i", "d:v2 d:v1"),
        ("r:v1 i d:v1", ""),
    ],
    ids=[
        "none named",
        "step by step",
        "further back",
        "one never deployed",
        "one that failed",
        "and on from there",
        "forth again",
        "told by two",
        "told by two, one of whom names it",
        "told by two, never deployed",
        "names what it takes back",
        "nothing to roll back",
    ],
)
def test_what_is_live_after_a_roll_back(turns: str, blamed: str) -> None:
    """What is deployed (d), fails to be (f), is rolled back (r), and goes wrong (i), an hour apart."""
    kinds = {"d": DeploymentKind.DEPLOYED, "f": DeploymentKind.FAILED, "r": DeploymentKind.ROLLED_BACK}
    facts: list[Fact] = []
    for number, turn in enumerate(turns.split()):
        what, _, revision = turn.partition(":")
        at = T - DAY + number * HOUR
        if what == "i":
            facts.append(IncidentUpdate("i", SHOP, at, False, PRODUCTION))
        else:
            facts.append(deployed(str(number), at, revision or None, kind=kinds[what]))
    rate = now_of(*facts).change_failure_rate
    assert rate == len(blamed.split()) / sum(turn.startswith("d") for turn in turns.split())
    for told in (facts, facts[::-1]):
        assert figures(fed((fact, T) for fact in told), T) == oracle([(fact, T) for fact in told], T)


@pytest.mark.parametrize(("days", "failed"), [(180.0, 1), (180.001, 2)])
def test_a_roll_back_goes_half_a_year_back(days: float, failed: int) -> None:
    """What it names was deployed so long before at most; else the one before is live again."""
    found = now_of(
        deployed("1", T - HOUR - days * DAY, "v1"),
        deployed("2", T - 4 * HOUR, "v2"),
        deployed("3", T - 3 * HOUR, "v3"),
        deployed("4", T - 2 * HOUR, "v4"),
        deployed("back", T - HOUR, "v1", kind=DeploymentKind.ROLLED_BACK),
        IncidentUpdate("i", SHOP, T, False, PRODUCTION),
    )
    assert found.change_failure_rate == failed / 3


@st.composite
def turns_told(draw: st.DrawFn) -> list[Told]:
    """Draw deployments, roll-backs that mostly name one of them, and incidents between; some are equal."""
    facts: list[Fact] = []
    for number in range(draw(st.integers(2, 24))):
        at = T - DAY + draw(st.integers(0, 30)) * HOUR / 2
        where = draw(st.sampled_from((PRODUCTION, PRODUCTION, PRODUCTION, "staging")))
        revision = draw(st.sampled_from((None, "v1", "v2", "v3", "v4")))
        if draw(st.integers(0, 4)):
            kind = draw(
                st.sampled_from((DeploymentKind.DEPLOYED, DeploymentKind.ROLLED_BACK, *DeploymentKind))
            )
            facts.append(deployed(f"d{number}", at, revision, environment=where, kind=kind))
        else:
            place = draw(st.sampled_from((None, where)))
            named = draw(st.sampled_from((None, None, revision)))
            facts.append(IncidentUpdate(f"i{number}", SHOP, at, False, place, named))
            facts.append(IncidentUpdate(f"i{number}", SHOP, at + number, True))
    facts += [otherwise(fact) for fact in draw(st.lists(st.sampled_from(facts), max_size=3))]
    return [(fact, T) for fact in draw(st.permutations(facts))]


@settings(max_examples=400, deadline=None)
@given(turns_told(), st.integers(3, 40))
def test_roll_backs_in_any_order_have_the_figures_of_the_oracle(told: list[Told], each: int) -> None:
    """What is live is the same as if all were told in order, after each fact, and after a restart."""
    dora, saved = Dora(100), dict[str, bytes]()
    for number, (fact, received) in enumerate(told):
        dora.apply(fact, received)
        if number % each == 0:
            assert figures(dora, T) == oracle(told[: number + 1], T)
            dora = restarted(dora, saved)
    assert figures(dora, T) == oracle(told, T)


@pytest.mark.parametrize("seed", range(2))
def test_roll_backs_leave_the_oldest_first(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is live is that of the facts kept, when each new one has the oldest forgotten."""
    monkeypatch.setattr(Deployments, "most", 15)
    chance = random.Random(seed)  # noqa: S311  # no secret
    dora = Dora(100)
    told: list[Told] = []
    for number in range(150):
        kind = chance.choice((DeploymentKind.DEPLOYED, DeploymentKind.ROLLED_BACK))
        revision = chance.choice((None, *(f"v{chance.randrange(5)}" for _ in range(3))))
        told.append((deployed(str(number), T - (150 - number) * HOUR, revision, kind=kind), T))
        dora.apply(*told[-1])
        assert figures(dora, T) == oracle(told[-15:], T)


@pytest.mark.parametrize(
    ("environment", "revision", "failed"),
    [
        (PRODUCTION, None, {"production": 0.5}),
        (None, None, {"staging": 1.0}),
        (None, "a", {"production": 0.5}),
        (PRODUCTION, "unknown", {}),
        ("staging", "a", {}),
    ],
)
def test_an_incident_is_blamed_on_what_it_names_or_on_the_latest(
    environment: str | None, revision: str | None, failed: dict[str, float]
) -> None:
    """The revision and the environment narrow it down; a revision that was never there is nobody's fault."""
    dora = fed(
        (fact, T)
        for fact in (
            deployed("1", T - 5 * HOUR, "a"),
            deployed("2", T - 4 * HOUR, "b"),
            deployed("3", T - 3 * HOUR, "b", environment="staging"),
            IncidentUpdate("i", SHOP, T - HOUR, False, environment, revision),
        )
    )
    rates = {row.environment: row.change_failure_rate for row in dora.figures(T) if row.window_days == 7}
    assert rates == {"production": 0.0, "staging": 0.0} | failed


def test_time_to_restore_is_the_median_of_incidents_resolved_in_the_window() -> None:
    """However long ago they were detected; none that goes on, or whose start nobody told."""
    found = now_of(
        IncidentUpdate("long", SHOP, T - 20 * DAY, False, PRODUCTION),
        IncidentUpdate("long", SHOP, T - DAY, True, PRODUCTION),
        IncidentUpdate("short", SHOP, T - 2 * HOUR, False, PRODUCTION),
        IncidentUpdate("short", SHOP, T - HOUR, True, PRODUCTION),
        IncidentUpdate("going on", SHOP, T - HOUR, False, PRODUCTION),
        IncidentUpdate("unknown", SHOP, T - HOUR, True, PRODUCTION),
        IncidentUpdate("before", SHOP, T - 30 * DAY, False, PRODUCTION),
        IncidentUpdate("before", SHOP, T - 7 * DAY, True, PRODUCTION),
    )
    assert found.time_to_restore_s == (19 * DAY + HOUR) / 2
    assert (found.deployments, found.change_failure_rate) == (0, None)


def test_an_incident_without_environment_is_where_the_deployment_to_blame_is() -> None:
    """Where none is to blame, it isn't lost."""
    start, end = (
        IncidentUpdate("i", SHOP, T - 2 * HOUR, False),
        IncidentUpdate("i", SHOP, T - HOUR, True),
    )
    assert now_of(start, end, environment="unknown").time_to_restore_s == HOUR
    assert now_of(start, end, deployed("1", T - DAY)).time_to_restore_s == HOUR


@pytest.mark.parametrize(
    ("merged_days_before", "lead"),
    [(180.0, 180 * DAY), (180.001, None), (-30.0, 0.0), (-30.001, None)],
)
def test_a_change_is_followed_for_half_a_year(merged_days_before: float, lead: float | None) -> None:
    """What is deployed later isn't measured, nor what was deployed long before its merge."""
    deployed_at = T - 40 * DAY
    change = ChangeMerged(SHOP, "a", deployed_at - merged_days_before * DAY)
    assert now_of(change, deployed("1", deployed_at, "a"), days=90).lead_time_s == lead


@pytest.mark.parametrize(("days", "restored"), [(180.0, 180 * DAY), (180.001, None)])
def test_an_incident_is_followed_for_half_a_year(days: float, restored: float | None) -> None:
    """One that takes longer isn't measured."""
    found = now_of(
        IncidentUpdate("i", SHOP, T - days * DAY, False, PRODUCTION),
        IncidentUpdate("i", SHOP, T, True, PRODUCTION),
        deployed("1", T),
    )
    assert found.time_to_restore_s == restored


@pytest.mark.parametrize(("days", "environment"), [(90.0, PRODUCTION), (90.001, "unknown")])
def test_a_deployment_is_blamed_for_ninety_days(days: float, environment: str) -> None:
    """What breaks later has another cause."""
    found = now_of(
        deployed("1", T - HOUR - days * DAY),
        IncidentUpdate("i", SHOP, T - HOUR, False),
        IncidentUpdate("i", SHOP, T, True),
        environment=environment,
    )
    assert found.time_to_restore_s == HOUR


def test_an_artifact_told_twice_was_made_when_it_was_told_last() -> None:
    """It was packaged on a branch, too early to count, and published after the merge; in either order."""
    rest = (ChangeMerged(SHOP, "a", T - 2 * DAY), deployed("1", T - DAY, "pkg:oci/s@1"))
    packaged, published = (ArtifactMade("pkg:oci/s@1", "a", T - days * DAY) for days in (40, 1))
    assert now_of(*rest, packaged).lead_time_s is None
    assert now_of(*rest, packaged, published).lead_time_s == DAY
    assert now_of(*rest, published, packaged).lead_time_s == DAY


def test_what_left_the_window_is_remembered_as_long_as_it_matters() -> None:
    """A change that was delivered before isn't delivered again, and an old incident has its environment."""
    told: list[Told] = [
        (fact, T)
        for fact in (
            ChangeMerged(SHOP, "a", T - 160 * DAY),
            deployed("1", T - 230 * DAY),
            deployed("2", T - 150 * DAY, "a"),
            deployed("3", T - DAY, "a"),
            ChangeMerged(SHOP, "slow", T - 170 * DAY),
            deployed("4", T - 2 * DAY, "slow"),
            IncidentUpdate("i", SHOP, T - 170 * DAY, False),
            IncidentUpdate("i", SHOP, T, True),
        )
    ]
    dora = fed(told)
    dora.expire(T)
    (row,) = [row for row in dora.figures(T) if row.window_days == 7]
    assert (row.environment, row.deployments, row.lead_time_s) == (PRODUCTION, 2, 168 * DAY)
    assert row.time_to_restore_s == 170 * DAY
    assert figures(dora, T) == oracle(told, T)


def test_a_time_far_ahead_is_a_mistake() -> None:
    """It would never leave the window, and keep what is really there from being seen."""
    assert not fed([(deployed("1", T + 1.5 * DAY), T)]).figures(T + 2 * DAY)
    assert fed([(deployed("1", T + 0.5 * DAY), T)]).figures(T + 2 * DAY)


@pytest.mark.parametrize(("limit", "own"), [(8, {"p0", "p1"}), (5, {"p0"}), (2, set())])
def test_projects_beyond_the_limit_share_figures_and_no_blame(limit: int, own: set[str]) -> None:
    """Their sum is exact, also after a restart, and one's incident isn't another's failure."""
    chance = random.Random(5)  # noqa: S311  # no secret
    told: list[Told] = []
    for number in range(140):
        project, at = f"p{number % 7}", T - number * 15 * HOUR
        told += [
            (ChangeMerged(project, f"r{number}", at - number * 60), at),
            (deployed(str(number), at, f"r{number}", project=project), at),
        ]
        if number % 5 == 0:
            told.append((IncidentUpdate(f"i{number}", project, at + HOUR, False), at))
            told.append((IncidentUpdate(f"i{number}", project, at + 2 * HOUR + number, True), at))
    first, rest = told[:60], told[60:]
    chance.shuffle(rest)
    saved: dict[str, bytes] = {}
    dora = restarted(fed(first, limit=limit), saved, limit=limit)
    for fact, received in rest:
        dora.apply(fact, received)
    expected = oracle(told, T, lambda *place: place if place[0] in own else (OVERFLOW, OVERFLOW))
    assert figures(dora, T) == expected
    assert {project for project, _, _ in expected} == own | {OVERFLOW}
    assert figures(restarted(dora, saved, limit=limit), T) == expected


def test_environments_count_towards_the_limit() -> None:
    """A project with one for each pull request has as many series as there may be, and loses nothing."""
    turned_away: list[tuple[str, str]] = []
    dora = Dora(20, lambda *place: turned_away.append(place))
    told = [(deployed(str(number), T, environment=f"pr-{number:02}"), T) for number in range(50)]
    for fact, received in told:
        dora.apply(fact, received)
    own = {f"pr-{number:02}" for number in range(6)}
    expected = oracle(told, T, lambda *place: place if place[1] in own else (OVERFLOW, OVERFLOW))
    assert figures(dora, T) == expected
    assert len(expected) == 21
    assert turned_away == [(SHOP, f"pr-{number:02}") for number in range(6, 50)]


def test_a_place_is_free_again_when_all_of_a_project_is_forgotten() -> None:
    """Who came too late gets figures of his own then."""
    dora = fed([(deployed("1", T, project="old"), T), (deployed("1", T, project="late"), T)], limit=5)
    assert {row.project for row in dora.figures(T)} == {"old", OVERFLOW}
    later = T + 600 * DAY
    dora.expire(later)
    dora.apply(deployed("2", later, project="late"), later)
    assert {row.project for row in dora.figures(later)} == {"late"}


def test_all_is_forgotten_in_the_end() -> None:
    """Nothing stays in memory or on the disk of what can't change a figure any more."""
    told: list[Told] = [
        (deployed("1", T, "pkg:oci/s@1"), T),
        (ChangeMerged(SHOP, "a", T, change_id="1"), T),
        (ArtifactMade("pkg:oci/s@1", "a", T), T),
        (IncidentUpdate("i", SHOP, T, False), T),
        (IncidentUpdate("i", SHOP, T + HOUR, True), T),
    ]
    dora, saved = fed(told), dict[str, bytes]()
    restarted(dora, saved)
    assert len(saved) == 5, "four facts, and that the project has figures"
    for day in (91, 270, 361, 481, 541):
        dora.expire(T + day * DAY)
        assert not dora.figures(T + day * DAY)
    restarted(dora, saved)
    assert not saved
    assert not any(len(shelf) for shelf in dora.maps)


@pytest.mark.parametrize("seed", range(3))
def test_a_project_keeps_its_newest_facts(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first, in whatever order they came; other projects' stay."""
    for shelf in (Deployments, Incidents, Changes, Artifacts):
        monkeypatch.setattr(shelf, "most", 30)
    told: list[Told] = []
    for number in range(100):
        at = T - number * HOUR
        told += [
            (deployed(str(number), at, f"pkg:oci/s@{number}"), T),
            (ChangeMerged(SHOP, f"r{number}", at - number), T),
            (ArtifactMade(f"pkg:oci/s@{number}", f"r{number}", at - number / 2), T),
            (IncidentUpdate(f"i{number}", SHOP, at + 1, number % 2 > 0, PRODUCTION), T),
        ]
    kept, other = told[: 4 * 30], deployed("1", T - 80 * DAY, project="other")
    random.Random(seed).shuffle(told)  # noqa: S311  # no secret
    dora = fed([(other, T), *told])
    assert [len(shelf) for shelf in dora.maps[:4]] == [31, 30, 30, 30]
    assert figures(dora, T) == oracle([(other, T), *kept], T)


def test_the_project_with_most_facts_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """All projects together have a limit, and who fills it loses his own."""
    monkeypatch.setattr(dora_shelves, "MOST_FACTS", 100)
    dora = Dora(100)
    for number in range(10):
        dora.apply(deployed(str(number), T - 80 * DAY, project="small"), T)
    for number in range(500):
        dora.apply(deployed(str(number), T - number, project="noisy"), T)
    counts = {row.project: row.deployments for row in dora.figures(T) if row.window_days == 90}
    assert counts == {"small": 10, "noisy": 90}


def busy(number: int) -> Sequence[Told]:
    """Make the facts of a project that deploys all the time."""
    told: list[Told] = []
    for each in range(number):
        at = T - 90 * DAY + (each + 1) * 90 * DAY / number
        told += [
            (ChangeMerged(SHOP, f"r{each}", at - 3600), at),
            (deployed(str(each), at, f"r{each}"), at),
        ]
        if each % 10 == 0:
            told.append((IncidentUpdate(f"i{each}", SHOP, at + 1, False, PRODUCTION), at))
    return told


def test_ten_thousand_deployments_cost_nothing_until_something_changes() -> None:
    """The very rows are given again; another project's deployment leaves this one's as they are."""
    dora = fed(busy(MANY))
    before = dora.figures(T)
    assert before[-1].deployments == MANY
    assert dora.figures(T) is before
    assert dora.figures(T + 1) is before
    dora.apply(deployed("1", T, project="other"), T)
    after = dora.figures(T)
    assert [row for row in after if row.project == SHOP] == list(before)
    assert all(any(row is old for row in after) for old in before)


@pytest.mark.parametrize("at", [T, T - 45 * DAY], ids=["the latest", "a late one"])
def test_a_deployment_among_ten_thousand_is_looked_at_alone(
    at: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the others' changes nor the others' failures are worked out again."""
    looked_at: list[str] = []
    delivered, attribute = Links.delivered, Blame._attribute

    def see_delivered(links: Links, deployment: Deployed) -> Sequence[Delivered]:
        looked_at.append(deployment.deployment_id)
        return delivered(links, deployment)

    def see_attribute(blame: Blame, suspicion: Any, line: Any) -> None:
        looked_at.append(suspicion.incident.detected.incident_id)
        attribute(blame, suspicion, line)

    monkeypatch.setattr(Links, "delivered", see_delivered)
    monkeypatch.setattr(Blame, "_attribute", see_attribute)
    dora = fed(busy(MANY))
    dora.figures(T)
    assert len(looked_at) >= MANY
    looked_at.clear()
    dora.apply(deployed("new", at, "r5"), at)
    (row,) = [row for row in dora.figures(T) if row.window_days == 90]
    assert row.deployments == MANY + 1
    assert "new" in looked_at
    assert len(looked_at) <= 2, "it, and the incident that it may have to answer for"


def test_a_fact_among_thousands_of_roll_backs_is_looked_at_with_what_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The latest is looked at alone; a late one with those whose outcome it may change."""
    looked_at: list[str] = []
    take = Blame._take

    def see_take(blame: Blame, rollback: RollBack) -> None:
        looked_at.append(rollback.fact.deployment_id)
        take(blame, rollback)

    monkeypatch.setattr(Blame, "_take", see_take)
    facts: list[Fact] = []
    for number in range(3000):
        at = T - DAY + number * 10
        facts.append(deployed(f"d{number}", at, f"v{number}"))
        if number % 3 == 2:
            name = f"v{number - 1}"
            facts.append(deployed(f"r{number}", at + 5, name, kind=DeploymentKind.ROLLED_BACK))
    dora = fed((fact, T) for fact in facts)
    assert len(looked_at) == 1000
    for at, most in ((T, 1), (T - DAY + 15_001, 3)):
        for kind in (DeploymentKind.DEPLOYED, DeploymentKind.ROLLED_BACK):
            looked_at.clear()
            facts.append(deployed(f"new {kind}", at + len(kind) / 10, "v1", kind=kind))
            dora.apply(facts[-1], T)
            assert len(looked_at) <= most
    looked_at.clear()
    dora.expire(T - DAY + 15_000 + Deployments.kept_s)
    assert len(looked_at) <= 3 * 500, "those that go, as what they name and what they undo goes before them"


@pytest.mark.parametrize("seed", range(4))
def test_facts_that_come_and_go_leave_what_is_there_afresh(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After hundreds of facts in any order, of which most were forgotten, all is as if told anew."""
    monkeypatch.setattr(dora_module, "FEW", seed)
    for shelf in (Deployments, Incidents, Changes, Artifacts):
        monkeypatch.setattr(shelf, "most", 60)
    chance = random.Random(seed)  # noqa: S311  # no secret
    dora, saved, now = Dora(100), dict[str, bytes](), T
    for number in range(900):
        at = now - chance.choice((0.0, 0.0, HOUR, 5 * DAY, 40 * DAY, 100 * DAY)) * chance.random()
        project, environment = chance.choice((SHOP, "acme/cart")), chance.choice((PRODUCTION, "staging"))
        revision = f"r{chance.randrange(40)}"
        match chance.randrange(5):
            case 0 | 1:
                kind = chance.choice((DeploymentKind.DEPLOYED, DeploymentKind.DEPLOYED, *DeploymentKind))
                name = f"d{chance.randrange(200)}"
                fact: Fact = Deployed(project, environment, kind, at, name, chance.choice((None, revision)))
            case 2:
                fact = ChangeMerged(project, revision, at - HOUR, at - chance.random() * DAY, "12")
            case 3:
                fact = ArtifactMade(revision, f"r{chance.randrange(40)}", at)
            case _:
                where, what = chance.choice((None, environment)), chance.choice((None, None, revision))
                name = f"i{chance.randrange(60)}"
                fact = IncidentUpdate(name, project, at, chance.random() < 0.5, where, what)
        dora.apply(fact, now)
        now += chance.choice((0.0, 1.0, HOUR, DAY))
        if number % 7 == 0:
            dora.figures(now - chance.choice((0.0, 0.0, 3 * HOUR)))
        if number % 31 == 0:
            dora.expire(now)
        if number % 100 == 99:
            again = restarted(dora, saved)
            for later in (0.0, 3 * DAY, -DAY, 50 * DAY, 300 * DAY):
                assert figures(dora, now + later) == figures(again, now + later)
