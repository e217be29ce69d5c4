"""What a roll-back blames, and what it makes live."""

from itertools import permutations

import pytest
from ansflow_gateway.domain.events import DeploymentKind, IncidentUpdate
from ansflow_gateway.folding.dora import Dora
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dora_oracle import DAY, Fact, Told, oracle
from support.dora_stories import (
    HOUR,
    PRODUCTION,
    SHOP,
    T,
    deployed,
    fed,
    figures,
    now_of,
    otherwise,
    restarted,
)


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
