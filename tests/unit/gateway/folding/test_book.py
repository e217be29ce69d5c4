"""The book as a whole: limits, restarts, spans."""

import random
from collections.abc import Iterable

import pytest
from ansflow_gateway.domain.events import (
    ChangeMerged,
    Deployed,
    DeploymentKind,
    Event,
    EventType,
    IncidentUpdate,
    IntegrationCall,
    Payload,
    Phase,
    ProjectUsage,
    RunKey,
    RunResult,
    RunUpdate,
    TaskUpdate,
    UserActivity,
    WebSocketActivity,
)
from ansflow_gateway.domain.labels import OVERFLOW
from ansflow_gateway.domain.store import Entry
from ansflow_gateway.domain.traces import run_span_id, task_span_id, trace_id
from ansflow_gateway.folding.book import Book, BookOptions
from ansflow_gateway.folding.dora_facts import DAY_S
from ansflow_gateway.meters import business as b
from ansflow_gateway.meters.points import HistogramPoint

T = 1_800_000_000.0
PROJECTS = 10_000
LIMIT = 100


def entries(payloads: Iterable[Payload]) -> list[Entry]:
    """Journal payloads, each as an event of its own."""
    return [
        Entry(number + 1, T + number / 1000, Event("tests", str(number), EventType.USER_ACTIVITY, payload))
        for number, payload in enumerate(payloads)
    ]


def opened(options: BookOptions | None = None, rows: Iterable[tuple[str, bytes]] = ()) -> Book:
    """Open a book at a fixed time."""
    book = Book(options or BookOptions(), lambda: T)
    book.load(rows)
    return book


def run(number: int, project: str, result: RunResult = RunResult.SUCCESS) -> RunUpdate:
    """Make the end of a run that says all at once."""
    return RunUpdate(
        RunKey("ansflow", "/ci", str(number)),
        Phase.FINISHED,
        pipeline="build",
        project=project,
        finished_at=T,
        result=result,
        duration_s=float(number % 7),
    )


def every_kind() -> list[Payload]:
    """Make events of each kind that adds up."""
    chance = random.Random(7)  # noqa: S311  # no secret
    found: list[Payload] = []
    for number in range(400):
        found.extend(
            (
                run(number, f"p{number % 9}", chance.choice(list(RunResult))),
                UserActivity(f"action-{number % 3}", "admin"),
                IntegrationCall("slack", success=number % 4 > 0, duration_s=number / 100),
                ProjectUsage(f"p{number % 9}", cpu_s=1.5, network_bytes=10.0, storage_bytes=float(number)),
                WebSocketActivity("/ws", opened=2, closed={"1000": 1, "1006": 1}, sent=3, received=1),
                TaskUpdate(
                    RunKey("ansflow", "/ci", str(number)), "t", Phase.STARTED, started_at=T, worker="w"
                ),
            )
        )
    return found


def points(book: Book) -> dict[tuple[str, tuple[str, ...]], object]:
    """Return each series' point."""
    return {
        (name, series.labels): series.point
        for name, meter in book.table.meters.items()
        for series in book.table.series(meter)
    }


@pytest.mark.parametrize(
    ("projects", "results"),
    [(PROJECTS, [RunResult.SUCCESS]), (PROJECTS, list(RunResult))],
    ids=["one result", "every result"],
)
def test_ten_thousand_projects_are_a_hundred_series(projects: int, results: list[RunResult]) -> None:
    """At most the limit and one, the total exact, the overflow seen; and the same after a restart."""
    options = BookOptions(series_limit=LIMIT)
    book = opened(options)
    half = projects // 2
    payloads = [run(n, f"project-{n}", results[n % len(results)]) for n in range(projects)]
    book.apply(entries(payloads)[:half])
    again = opened(options, [(key, value) for key, value in book.changed() if value is not None])
    again.apply(entries(payloads)[half:])

    series = again.table.series(b.RUN_DURATION)
    assert len(series) <= LIMIT + 1
    counts = [each.point.count for each in series if isinstance(each.point, HistogramPoint)]
    assert sum(counts) == projects
    overflowed = [each for each in series if "__overflow__" in each.labels]
    assert {each.labels[4] for each in overflowed} == {result.value for result in results}
    admitted = LIMIT + 1 - b.RUN_DURATION.overflows
    told = again.table.value(b.OVERFLOWED, ("cicd.pipeline.run.duration",))
    assert told == projects - max(1, admitted)
    by_result = {
        result: sum(
            each.point.count
            for each in series
            if each.labels[4] == result.value and isinstance(each.point, HistogramPoint)
        )
        for result in results
    }
    assert by_result == {
        result: sum(1 for n in range(projects) if results[n % len(results)] is result) for result in results
    }
    offender, _ = again.table.overflowed["cicd.pipeline.run.duration"].top(1)[0]
    assert offender[0].startswith("project-")


@pytest.mark.parametrize("cuts", [[0], [1000], [1, 2, 700, 1999]])
def test_a_restart_at_any_place_changes_nothing(cuts: list[int]) -> None:
    """Saved by changes, loaded, and gone on with, the book comes to what it would have come to."""
    journal = entries(every_kind())
    whole = opened()
    whole.apply(journal)
    saved: dict[str, bytes] = {}
    book, first = opened(), 0
    for cut in [*cuts, len(journal)]:
        book.apply(journal[first:cut])
        first = cut
        for key, value in book.changed():
            if value is None:
                saved.pop(key, None)
            else:
                saved[key] = value
        began = book.began_at
        book = Book(BookOptions(), lambda: T + 5000)
        book.load(saved.items())
        assert book.began_at == began
    assert points(book) == points(whole)
    assert book.recent_runs() == whole.recent_runs()
    assert book.due(10_000) == whole.due(10_000)


def test_nothing_changed_is_nothing_to_save() -> None:
    """After a save, only what came since is saved."""
    book = opened()
    book.apply(entries(every_kind()))
    assert book.changed()
    assert book.changed() == []
    book.apply([Entry(9, T, Event("tests", "x", EventType.USER_ACTIVITY, UserActivity("deploy", "admin")))])
    assert [key.split("\0")[:2] for key, _ in book.changed()] == [["series", "ansflow.user.activity"]]


def test_a_run_and_its_task_are_one_trace() -> None:
    """Ids are made of the run; kinds, times, names, and the link to what caused it are the conventions'."""
    key = RunKey("github", "github.com/acme/shop", "12", 3)
    cause = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    book = opened()
    book.apply(
        entries(
            [
                TaskUpdate(
                    key,
                    "7",
                    Phase.FINISHED,
                    name="lint",
                    started_at=T + 1,
                    finished_at=T + 2,
                    result=RunResult.FAILURE,
                    worker="runner",
                ),
                RunUpdate(
                    key,
                    Phase.FINISHED,
                    pipeline="release",
                    project="acme/shop",
                    pipeline_type="build",
                    started_at=T,
                    finished_at=T + 9,
                    result=RunResult.FAILURE,
                    traceparent=cause,
                    url="https://ci.example/12",
                ),
            ]
        )
    )
    keys, (task, whole) = zip(*book.due(10), strict=True)
    assert (whole.name, whole.server, whole.start, whole.end) == ("BUILD release", True, T, T + 9)
    assert (whole.trace_id, whole.span_id, whole.parent_id) == (trace_id(key), run_span_id(key), None)
    assert whole.links == ((bytes.fromhex("ab" * 16), bytes.fromhex("cd" * 8)),)
    assert whole.attributes["cicd.pipeline.result"] == "failure"
    assert whole.error == "failure"
    assert (task.name, task.server, task.trace_id) == ("lint", False, whole.trace_id)
    assert (task.span_id, task.parent_id) == (task_span_id(key, "7"), whole.span_id)
    assert task.attributes["cicd.worker.name"] == "runner"
    point = book.table.series(b.RUN_DURATION)[0].point
    assert isinstance(point, HistogramPoint)
    (exemplar,) = [each for each in point.exemplars if each]
    assert (exemplar.trace_id, exemplar.span_id, exemplar.value) == (whole.trace_id, whole.span_id, 9.0)
    book.exported(keys)
    assert book.due(10) == []


def test_a_project_is_active_for_the_window() -> None:
    """Counted from its run's end, also after a restart, until the window has passed."""
    now = T
    book = Book(BookOptions(active_window=100), lambda: now)
    book.load(())
    book.apply(entries([run(1, "a"), run(2, "b"), run(3, "a")]))
    book.tick()
    assert book.table.value(b.ACTIVE_PROJECTS, ()) == 2
    rows = [(key, value) for key, value in book.changed() if value is not None]
    again = Book(BookOptions(active_window=100), lambda: now)
    again.load(rows)
    again.tick()
    assert again.table.value(b.ACTIVE_PROJECTS, ()) == 2
    now = T + 101
    again.tick()
    assert again.table.value(b.ACTIVE_PROJECTS, ()) == 0


def test_gauges_go_after_their_time_and_counters_never() -> None:
    """A gauge that isn't set any more vanishes; a sum stays as it is."""
    now = T
    book = Book(BookOptions(gauge_ttl=100), lambda: now)
    book.load(())
    book.apply(entries([ProjectUsage("p", cpu_s=3.0, storage_bytes=7.0)]))
    assert book.table.value(b.PROJECT_STORAGE, ("p",)) == 7
    now = T + 101
    book.tick()
    assert book.table.value(b.PROJECT_STORAGE, ("p",)) is None
    assert book.table.value(b.PROJECT_CPU, ("p",)) == 3


DORA_GAUGES = (b.DORA_FREQUENCY, b.DORA_LEAD_TIME, b.DORA_FAILURE_RATE, b.DORA_RESTORE_TIME)


def delivered(project: str, environment: str, at: float) -> list[Payload]:
    """Make a project's change, its deployment, and an incident of it."""
    return [
        ChangeMerged(project, "r", at - 60),
        Deployed(project, environment, DeploymentKind.DEPLOYED, at, "1", "r"),
        IncidentUpdate("i", project, at + 1, False, environment),
        IncidentUpdate("i", project, at + 2, True, environment),
    ]


def test_dora_gauges_keep_the_limit_of_series() -> None:
    """Of 300 projects and environments, some have series by window; the others share one that is exact."""
    places = [(f"p{number % 100}", f"e{number // 100}") for number in range(300)]
    book = opened(BookOptions(series_limit=LIMIT))
    book.apply(entries([fact for place in places for fact in delivered(*place, T - 60)]))
    book.tick()
    shown = {series.labels for series in book.table.series(b.DORA_FREQUENCY)}
    for meter in DORA_GAUGES:
        labels = {series.labels for series in book.table.series(meter)}
        assert labels == shown
        assert LIMIT - 3 < len(labels) <= LIMIT + 1
        own = {each[:2] for each in labels} - {(OVERFLOW, OVERFLOW)}
        assert labels == {
            (*place, window) for place in {*own, (OVERFLOW, OVERFLOW)} for window in ("7d", "30d", "90d")
        }
    week = [labels for labels in shown if labels[2] == "7d"]
    rates = [book.table.value(b.DORA_FREQUENCY, labels) for labels in week]
    assert sum(rate for rate in rates if isinstance(rate, float)) == pytest.approx(300 / 7)
    turned_away = book.table.overflowed["ansflow.dora.deployment.frequency"].total
    assert turned_away == 300 - len(own)

    rows = [(key, value) for key, value in book.changed() if value is not None]
    again = opened(BookOptions(series_limit=LIMIT), rows)
    again.apply(entries([fact for place in places[::-1] for fact in delivered(*place, T - 30)]))
    again.tick()
    assert {series.labels for series in again.table.series(b.DORA_FREQUENCY)} == shown


def test_a_project_turned_away_counts_as_overflow_once() -> None:
    """Not each tick, nor for each of its deployments."""
    book = opened(BookOptions(series_limit=5))
    book.apply(
        entries(
            Deployed(project, "production", DeploymentKind.DEPLOYED, T - 60, number)
            for number in "123"
            for project in ("shop", "till")
        )
    )
    for _ in range(3):
        book.tick()
    assert book.table.overflowed["ansflow.dora.deployment.frequency"].total == 1
    assert book.table.value(b.OVERFLOWED, ("ansflow.dora.deployment.frequency",)) == 1


def test_dora_gauges_go_with_what_they_tell_and_make_room() -> None:
    """When nothing of a project is within the longest window, whoever comes next has its series."""
    now = T
    book = Book(BookOptions(series_limit=5), lambda: now)
    book.load(())
    book.apply(entries(delivered("old", "production", T)))
    book.tick()
    assert {series.labels[0] for series in book.table.series(b.DORA_LEAD_TIME)} == {"old"}
    now = T + 600 * DAY_S
    later = Deployed("new", "production", DeploymentKind.DEPLOYED, now, "1")
    book.apply([Entry(100, now, Event("tests", "e", EventType.USER_ACTIVITY, UserActivity("a", "b")))])
    book.apply([Entry(101, now, Event("tests", "d", EventType.USER_ACTIVITY, later))])
    book.tick()
    assert {series.labels[0] for series in book.table.series(b.DORA_FREQUENCY)} == {"new"}
    assert not book.table.series(b.DORA_LEAD_TIME)


def test_dora_gauges_that_stay_as_they_are_are_neither_exported_nor_lost() -> None:
    """They are set again before their time is over, and not sooner; what changes is set at once, alone."""
    now = T
    book = Book(BookOptions(gauge_ttl=100), lambda: now)
    book.load(())
    book.apply(entries([*delivered("shop", "production", T - 60), *delivered("till", "production", T - 60)]))
    book.tick()
    changes = book.table.subscribe()
    changes.drain()
    for _ in range(20):
        now += 1
        book.tick()
    assert {series.meter.declaration.name for series in changes.drain()} <= {"ansflow.active_projects"}
    book.apply(
        [
            Entry(
                100,
                now,
                Event(
                    "tests",
                    "d",
                    EventType.USER_ACTIVITY,
                    Deployed("till", "production", DeploymentKind.DEPLOYED, now, "2"),
                ),
            )
        ]
    )
    book.tick()
    told = {(series.meter.declaration.name, series.labels[0]) for series in changes.drain()}
    assert {(name, project) for name, project in told if name.startswith("ansflow.dora.")} == {
        ("ansflow.dora.deployment.frequency", "till"),
        ("ansflow.dora.change_failure", "till"),
    }
    for _ in range(30):
        now += 10
        book.tick()
    assert {series.labels[0] for series in book.table.series(b.DORA_RESTORE_TIME)} == {"shop", "till"}


def test_what_is_kept_for_others_is_to_be_saved_without_an_event() -> None:
    """It is noticed until it is given to be saved, and is there again after a restart."""
    book = opened()
    rows = dict(book.changed())
    book.keep("availability/api", b"counts")
    assert book.unsaved
    rows.update(book.changed())
    assert not book.unsaved
    again = opened(rows=[(key, value) for key, value in rows.items() if value is not None])
    assert (again.kept("availability/api"), again.unsaved) == (b"counts", False)
