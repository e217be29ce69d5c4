"""Projects, environments and facts beyond what is kept."""

import random

import pytest
from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, DeploymentKind, IncidentUpdate
from ansflow_gateway.domain.labels import OVERFLOW
from ansflow_gateway.folding import dora_shelves
from ansflow_gateway.folding.dora import Dora
from ansflow_gateway.folding.dora_facts import Artifacts, Changes, Deployments, Incidents
from support.dora_oracle import DAY, Told, oracle
from support.dora_stories import HOUR, PRODUCTION, SHOP, T, deployed, fed, figures, restarted


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
