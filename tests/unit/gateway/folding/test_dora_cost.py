"""What is looked at when a fact comes: no more than it changes."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed, DeploymentKind, IncidentUpdate
from ansflow_gateway.folding import dora as dora_module
from ansflow_gateway.folding.dora import Dora
from ansflow_gateway.folding.dora_blame import Blame
from ansflow_gateway.folding.dora_facts import Artifacts, Changes, Deployments, Incidents
from ansflow_gateway.folding.dora_lines import RollBack
from ansflow_gateway.folding.dora_links import Delivered, Links
from support.dora_oracle import DAY, Fact, Told
from support.dora_stories import HOUR, MANY, PRODUCTION, SHOP, T, deployed, fed, figures, restarted


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
