"""What the real parts come to on the page."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from ansflow_gateway.domain.availability import WINDOWS
from ansflow_gateway.domain.events import (
    Deployed,
    DeploymentKind,
    Event,
    EventType,
    IntegrationCall,
    Phase,
    RunKey,
    RunResult,
    RunUpdate,
)
from ansflow_gateway.domain.health import ServiceHealth
from ansflow_gateway.domain.rejection import Reason, Rejection
from ansflow_gateway.domain.store import Entry
from ansflow_gateway.domain.system import Cpu, Disk, Filesystem, Memory, SystemSnapshot
from ansflow_gateway.domain.traces import trace_id
from ansflow_gateway.domain.watch import State, Watched
from ansflow_gateway.folding.book import Book, BookOptions
from ansflow_gateway.status_view import SHOWN_RUNS, GatewayStatus, Parts
from ansflow_gateway.storage.sqlite import SqliteEventStore
from ansflow_gateway.web.status.history import History
from ansflow_gateway.web.status.rejections import RecentRejections
from ansflow_gateway.web.status.sections import render
from ansflow_gateway.web.status.source import Figure, ServiceState
from support.status import NOW

SNAPSHOT = SystemSnapshot(
    1.0,
    Cpu({}, {"user": 0.25, "idle": 0.7, "iowait": 0.05}, 4),
    Memory(1000, 600, 300, 100),
    (Filesystem("a", "/", "ext4", 10, 90, 0), Filesystem("b", "/var", "ext4", 60, 20, 20)),
    (Disk("sda", 5, 7, 1, 1, None), Disk("sdb", 10, 20, 1, 1, None)),
    (),
)


def run(number: int, result: RunResult) -> RunUpdate:
    """Make the end of a run that says all at once."""
    return RunUpdate(
        RunKey("ansflow", "/ci", str(number)),
        Phase.FINISHED,
        pipeline="build",
        project=f"p{number}",
        finished_at=NOW + number,
        result=result,
        duration_s=3.0,
        url=f"https://ci.example/{number}",
    )


def opened_book(series_limit: int = 1000) -> Book:
    """Open a book at a fixed time."""
    book = Book(BookOptions(series_limit=series_limit), lambda: NOW)
    book.load(())
    return book


def status_over(
    book: Book,
    store: SqliteEventStore,
    services: Mapping[str, Watched | None] | None = None,
    snapshot: SystemSnapshot | None = SNAPSHOT,
) -> GatewayStatus:
    """Make the status of a gateway of these parts, which refused one event."""
    rejections = RecentRejections(lambda: NOW)
    rejections.note(Rejection(Reason.MISSING, "data.project", "a text", "nothing"), "/v1/events")
    return GatewayStatus(
        Parts(
            book,
            store,
            "SQLite",
            lambda: (("Size", "1 MiB"),),
            lambda: services or {},
            lambda: snapshot,
            lambda: (9, 2),
            rejections,
            "https://grafana.example/trace/{trace_id}",
        )
    )


def status_of(
    *payloads: RunUpdate | IntegrationCall | Deployed,
    series_limit: int = 1000,
    services: Mapping[str, Watched | None] | None = None,
    snapshot: SystemSnapshot | None = SNAPSHOT,
) -> GatewayStatus:
    """Make the status of a gateway whose book has these; its store isn't opened."""
    book = opened_book(series_limit)
    book.apply([Entry(number, NOW, event) for number, event in enumerate(events(payloads), 1)])
    return status_over(book, SqliteEventStore(Path("never-opened.sqlite"), book), services, snapshot)


def events(payloads: Iterable[RunUpdate | IntegrationCall | Deployed]) -> list[Event]:
    """Make an event of each payload."""
    return [
        Event("tests", str(number), EventType.USER_ACTIVITY, payload)
        for number, payload in enumerate(payloads, 1)
    ]


def by_key(figures: Sequence[Figure]) -> dict[str, float | None]:
    """Return the figures' values by their keys."""
    return {figure.key: figure.value for figure in figures}


def test_the_hosts_figures_are_those_of_its_snapshot() -> None:
    """Waiting for a disk isn't work; the filesystem with the least room counts as df has it; disks add up."""
    figures = by_key(status_of().readings().system)
    assert figures == pytest.approx(
        {"cpu": 0.25, "memory": 0.6, "filesystem": 0.75, "disk.read": 15, "disk.write": 27}
    )
    assert status_of(snapshot=None).readings().system == ()


def test_the_platforms_figures_are_those_of_the_table() -> None:
    """Runs by result, those cancelled and skipped aside, calls by outcome, and what was taken in."""
    calls = (IntegrationCall("slack", success=number > 0, duration_s=0.1) for number in range(4))
    runs = (run(number, RunResult.FAILURE if number else RunResult.SUCCESS) for number in range(5))
    aside = (run(5, RunResult.CANCELLATION), run(6, RunResult.SKIP))
    deployed = (
        Deployed("shop", "production", kind, NOW, str(number))
        for number, kind in enumerate((*[DeploymentKind.DEPLOYED] * 2, DeploymentKind.FAILED))
    )
    figures = by_key(status_of(*runs, *aside, *calls, *deployed).readings().business)
    wanted = {
        "runs": 7,
        "deployments": 2,
        "runs.success": 0.2,
        "calls": 4,
        "calls.success": 0.75,
        "accepted": 9,
        "duplicates": 2,
    }
    assert {key: figures[key] for key in wanted} == pytest.approx(wanted)


def test_beyond_the_series_limit_the_figures_stay_exact_and_the_meter_is_named() -> None:
    """Runs in the overflow count with their results; the offending meter is listed with its label sets."""
    view = status_of(*(run(number, RunResult.SUCCESS) for number in range(50)), series_limit=20).view()
    figures = by_key(view.readings.business)
    assert (figures["runs"], figures["runs.success"]) == (50, 1.0)
    offender = next(each for each in view.offenders if each.meter == "cicd.pipeline.run.duration")
    assert 0 < offender.measurements < 50
    assert offender.top[0][0][0].startswith("p")


def test_runs_are_the_latest_with_links() -> None:
    """The last to end first, at most so many; their traces have the ids that their spans have."""
    view = status_of(*(run(number, RunResult.SUCCESS) for number in range(SHOWN_RUNS + 5))).view()
    assert len(view.runs) == SHOWN_RUNS
    first = view.runs[0]
    assert (first.project, first.url) == (f"p{SHOWN_RUNS + 4}", f"https://ci.example/{SHOWN_RUNS + 4}")
    expected = trace_id(RunKey("ansflow", "/ci", str(SHOWN_RUNS + 4))).hex()
    assert (first.trace_id, first.trace_url) == (expected, f"https://grafana.example/trace/{expected}")


def test_services_have_their_state_checks_and_budget() -> None:
    """State by hysteresis, not by the last probe; one not probed yet is unknown, with the same windows."""
    watched = Watched(
        ServiceHealth(False, {"db": False}, problem="timed out"),
        State(True, NOW),
        NOW,
        0.1,
        {"1h": 0.999},
        {"1h": 0.001},
    )
    up, unknown = status_of(services={"b": None, "a": watched}).view().services
    assert (up.name, up.state, up.problem, up.since) == ("a", ServiceState.UP, "timed out", NOW)
    assert up.checks == (("db", False),)
    assert [each.window for each in up.availability] == [each.window for each in unknown.availability]
    assert next(iter(WINDOWS)) == up.availability[0].window
    assert up.availability[0].budget_left == pytest.approx(-1.0)
    assert up.availability[1].share is None
    assert unknown.state is ServiceState.UNKNOWN


async def test_the_whole_view_can_be_rendered(tmp_path: Path) -> None:
    """What came through a real store makes it to the page."""
    book = opened_book()
    store = SqliteEventStore(tmp_path / "events.sqlite", book)
    await store.open()
    try:
        await store.apply(events([run(1, RunResult.ERROR)]))
        sections = render(status_over(book, store).view(), History())
    finally:
        await store.close()
    assert "https://ci.example/1" in sections["runs"]
    assert "0 events" in sections["store"]
    assert "commits" in sections["store"]
    assert "data.project" in sections["refusals"]
