"""Runs whose events come in any order, more than once, or not at all."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from ansflow_gateway.domain.events import (
    Event,
    EventType,
    Payload,
    Phase,
    RunAbandoned,
    RunKey,
    RunResult,
    RunUpdate,
    TaskUpdate,
)
from ansflow_gateway.domain.identity import semantic_key
from ansflow_gateway.domain.store import Entry
from ansflow_gateway.folding.book import Book, BookOptions
from ansflow_gateway.meters import business as b
from ansflow_gateway.meters.points import HistogramPoint
from hypothesis import given, settings
from hypothesis import strategies as st

T = 1_800_000_000.0
RUN = RunKey("github", "github.com/acme/shop", "12", 3)
NAMES: dict[str, Any] = {"pipeline": "build", "project": "acme/shop"}


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = T

    def __call__(self) -> float:
        """Return the time that was set."""
        return self.now


def entries(payloads: Sequence[Payload], at: float = T) -> list[Entry]:
    """Journal what a store would journal: a fact that is told again is left out."""
    known: set[bytes] = set()
    journal = []
    for number, payload in enumerate(payloads):
        event = Event("tests", str(number), EventType.GITHUB_WORKFLOW_RUN, payload)
        key = semantic_key(event)
        if key is None or key not in known:
            journal.append(Entry(number + 1, at, event))
        if key:
            known.add(key)
    return journal


def numbers(book: Book) -> dict[tuple[str, tuple[str, ...]], object]:
    """Return all that the book has counted, zeros left out: what is active must be back at none."""
    found: dict[tuple[str, tuple[str, ...]], object] = {}
    for name, meter in book.table.meters.items():
        for series in book.table.series(meter):
            point = series.point
            if isinstance(point, HistogramPoint):
                found[name, series.labels] = (point.count, round(point.sum, 6), point.buckets)
            elif point:
                found[name, series.labels] = point
    return found


def folded(payloads: Sequence[Payload]) -> dict[tuple[str, tuple[str, ...]], object]:
    """Fold events in one order, and return what they come to."""
    book = Book(BookOptions(), Clock())
    book.load(())
    for entry in entries(payloads):
        book.apply([entry])
    return numbers(book)


def duration(book: Book, state: str, result: str = "success", error: str = "") -> HistogramPoint:
    """Return the run's duration in a state."""
    labels = ("acme/shop", "build", "pipeline", state, result, error)
    point = book.table.value(b.RUN_DURATION, labels)
    assert isinstance(point, HistogramPoint), numbers(book)
    return point


def book_of(*payloads: Payload) -> Book:
    """Fold events in the order given."""
    book = Book(BookOptions(), Clock())
    book.load(())
    book.apply(entries(payloads))
    return book


QUEUED = RunUpdate(RUN, Phase.QUEUED, **NAMES, queued_at=T)
STARTED = RunUpdate(RUN, Phase.STARTED, **NAMES, started_at=T + 30)
FINISHED = RunUpdate(RUN, Phase.FINISHED, **NAMES, finished_at=T + 100, result=RunResult.SUCCESS)
NAMELESS = RunUpdate(RUN, Phase.FINISHED, finished_at=T + 100, result=RunResult.FAILURE, error_type="tests")
MEASURED = RunUpdate(
    RUN, Phase.FINISHED, **NAMES, finished_at=T + 100, result=RunResult.SUCCESS, duration_s=64.5
)
TASKS = (
    TaskUpdate(RUN, "7", Phase.STARTED, name="lint", started_at=T + 31, worker="runner-1"),
    TaskUpdate(
        RUN, "7", Phase.FINISHED, name="lint", finished_at=T + 60, result=RunResult.SUCCESS, worker="runner-1"
    ),
)


@pytest.mark.parametrize(
    "events",
    [
        (QUEUED, STARTED, FINISHED),
        (QUEUED, STARTED, NAMELESS),
        (QUEUED, STARTED, MEASURED),
        (STARTED, FINISHED),
        (QUEUED, STARTED, FINISHED, *TASKS),
    ],
    ids=["all told", "names told before", "measured by the sender", "never queued", "with a task"],
)
def test_every_order_comes_to_the_same(events: tuple[Payload, ...]) -> None:
    """Each permutation, each event told twice at any place, gives identical meters; nothing stays active."""
    expected = folded(events)
    assert not [name for name, _ in expected if name == "cicd.pipeline.run.active"]
    for order in itertools.permutations(events):
        assert folded(order) == expected
        for place in range(len(order) + 1):
            for again in order:
                assert folded((*order[:place], again, *order[place:])) == expected


RUNS = [RunKey("cdevents", "/ci", str(number)) for number in range(3)]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Payload], list[Payload]]:
    """Draw some runs' events in their true order, and the same shuffled, with repetitions."""
    true: list[Payload] = []
    for run in RUNS:
        queued, waited, worked = draw(
            st.tuples(st.floats(0, 1e4), st.floats(0, 1e3), st.floats(0, 1e4), st.none())
        )[:3]
        names: dict[str, Any] = {
            "pipeline": draw(st.sampled_from(["a", "b"])),
            "project": draw(st.sampled_from(["x", "y"])),
        }
        where = draw(st.sets(st.sampled_from(["queued", "started", "finished"]), min_size=1))
        result = draw(st.sampled_from(list(RunResult)))
        at = {"queued": T + queued, "started": T + queued + waited, "finished": T + queued + waited + worked}
        if draw(st.booleans()):
            true.append(
                RunUpdate(run, Phase.QUEUED, queued_at=at["queued"], **(names if "queued" in where else {}))
            )
        true.append(
            RunUpdate(run, Phase.STARTED, started_at=at["started"], **(names if "started" in where else {}))
        )
        true.append(
            RunUpdate(
                run,
                Phase.FINISHED,
                finished_at=at["finished"],
                result=result,
                **(names if "finished" in where else {}),
            )
        )
    repeated = true + draw(st.lists(st.sampled_from(true), max_size=6))
    return true, draw(st.permutations(repeated))


@settings(max_examples=300, deadline=None)
@given(histories())
def test_shuffled_histories_come_to_the_same(history: tuple[list[Payload], list[Payload]]) -> None:
    """Several runs' events, interleaved in any order, repeated, with names told by any of them."""
    true, shuffled = history
    known = {
        payload.run
        for payload in true
        if isinstance(payload, RunUpdate) and payload.pipeline and payload.project
    }
    # A run whose names nobody tells waits for its deadline: there, nothing is counted either way.
    assert folded(shuffled) == folded(true)
    counted = sum(
        value[0]  # type: ignore[index]  # a histogram's count
        for (name, labels), value in folded(true).items()
        if name == "cicd.pipeline.run.duration" and "executing" in labels
    )
    assert counted == len(known)


def test_time_in_the_queue_and_at_work_are_apart() -> None:
    """Thirty seconds pending, seventy executing, each counted once."""
    book = book_of(QUEUED, STARTED, FINISHED)
    assert (duration(book, "pending").count, duration(book, "pending").sum) == (1, 30.0)
    assert (duration(book, "executing").count, duration(book, "executing").sum) == (1, 70.0)


def test_the_sender_s_own_measurement_wins() -> None:
    """A run whose sender measured how long it executed is counted with that."""
    assert duration(book_of(QUEUED, STARTED, MEASURED), "executing").sum == 64.5


def test_an_active_run_is_counted_in_its_state() -> None:
    """Pending, then executing, then none; zero is told, not left out."""
    active = [("build", "pending"), ("build", "executing")]
    for told, expected in (
        ((QUEUED,), [1, None]),
        ((QUEUED, STARTED), [0, 1]),
        ((QUEUED, STARTED, FINISHED), [0, 0]),
        ((STARTED, QUEUED), [None, 1]),
        ((FINISHED, QUEUED, STARTED), [None, None]),
    ):
        book = book_of(*told)
        assert [book.table.value(b.RUN_ACTIVE, labels) for labels in active] == expected


def test_a_failure_is_an_error_of_its_class() -> None:
    """What the sender calls the failure is its class; the fallback is the conventions'."""
    book = book_of(STARTED, NAMELESS)
    assert book.table.value(b.RUN_ERRORS, ("build", "tests")) == 1
    assert duration(book, "executing", "failure", "tests").count == 1
    silent = RunUpdate(RUN, Phase.FINISHED, **NAMES, result=RunResult.TIMEOUT, duration_s=1.0)
    assert book_of(silent).table.value(b.RUN_ERRORS, ("build", "_OTHER")) == 1
    error = RunUpdate(RUN, Phase.FINISHED, **NAMES, result=RunResult.ERROR, duration_s=1.0)
    assert book_of(error).table.value(b.SYSTEM_ERRORS, ("github", "_OTHER")) == 1


def test_an_end_that_never_comes_is_given_up_and_counted() -> None:
    """After the deadline an event gives it up: no longer active, counted as incomplete, and never again."""
    clock = Clock()
    book = Book(BookOptions(run_deadline=1000), clock)
    book.load(())
    book.apply(entries([QUEUED, STARTED]))
    assert book.overdue() == []
    clock.now = T + 1001
    (event,) = book.overdue()
    assert event.payload == RunAbandoned(RUN, "end")
    assert book.overdue() == []
    book.again([event])
    assert list(book.overdue()) == [event]
    book.apply([Entry(10, clock.now, event)])
    assert book.table.value(b.RUNS_INCOMPLETE, ("github", "end")) == 1
    assert book.table.value(b.RUN_ACTIVE, ("build", "executing")) == 0
    assert book.overdue() == []
    book.apply([Entry(11, clock.now + 1, Event("tests", "late", EventType.GITHUB_WORKFLOW_RUN, FINISHED))])
    assert duration(book, "executing").count == 1
    assert book.table.value(b.RUN_ACTIVE, ("build", "executing")) == 0


def test_an_end_without_a_start_is_counted_after_the_deadline() -> None:
    """From the earliest time that is known: here its place in the queue."""
    clock = Clock()
    book = Book(BookOptions(start_deadline=60), clock)
    book.load(())
    book.apply(entries([QUEUED, FINISHED]))
    assert book.table.series(b.RUN_DURATION) == []
    clock.now = T + 61
    (event,) = book.overdue()
    assert event.payload == RunAbandoned(RUN, "start")
    book.apply([Entry(10, clock.now, event)])
    assert duration(book, "executing").sum == 100.0
    assert book.table.value(b.RUNS_INCOMPLETE, ("github", "start")) == 1


def test_a_run_of_a_system_without_projects_waits_for_none() -> None:
    """CDEvents say no project: such a run is counted at its end, under an unknown one, and is complete."""
    cdrun = RunKey("cdevents", "https://ci.example/x", "1")
    told = [
        RunUpdate(cdrun, Phase.STARTED, pipeline="build", started_at=T),
        RunUpdate(cdrun, Phase.FINISHED, finished_at=T + 5, result=RunResult.SUCCESS),
    ]
    for events in (told, told[::-1]):
        book = book_of(*events)
        labels = ("unknown", "build", "pipeline", "executing", "success", "")
        point = book.table.value(b.RUN_DURATION, labels)
        assert isinstance(point, HistogramPoint), numbers(book)
        assert (point.count, point.sum) == (1, 5.0)
        assert book.table.series(b.RUNS_INCOMPLETE) == []


def test_workers_are_busy_while_they_have_a_task() -> None:
    """A worker is busy from a task's start to its end, in whatever order these come, then available."""
    for told, expected in (
        (TASKS[:1], {"busy": 1, "available": 0}),
        (TASKS, {"busy": 0, "available": 1}),
        (TASKS[::-1], {"busy": 0, "available": 1}),
    ):
        book = book_of(*told)
        book.tick()
        found = {state: book.table.value(b.WORKERS, (state,)) or 0 for state in ("busy", "available")}
        assert found == expected
