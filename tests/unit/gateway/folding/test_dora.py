"""DORA figures: whatever is told, in whatever order, they are those of the brute-force oracle."""

import random

import pytest
from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, DeploymentKind, IncidentUpdate
from ansflow_gateway.folding.dora import Dora
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dora_oracle import DAY, Told, oracle
from support.dora_stories import (
    HOUR,
    NOWS,
    PRODUCTION,
    SHOP,
    T,
    deployed,
    facts_told,
    fed,
    figures,
    now_of,
    restarted,
)


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
