"""How checks are run: together, once at a time, not beyond the deadline, and not in the way of an exit."""

import asyncio
import contextvars
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from ansflow_instrumentation.health import Check, CheckFailedError, Observation, Status, flights
from ansflow_instrumentation.health.checks import Outcome
from ansflow_instrumentation.health.flights import Flights

Run = Callable[[Flights, list[Check]], list[Outcome]]


def run_on_a_loop(flights: Flights, checks: list[Check]) -> list[Outcome]:
    """Run checks as an ASGI server does."""
    return asyncio.run(flights.outcomes(checks))


@pytest.fixture(params=[run_on_a_loop, Flights.outcomes_in_threads], ids=["asgi", "wsgi"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return a function that runs checks as a server does."""
    chosen: Run = request.param
    return chosen


def verdicts(outcomes: list[Outcome]) -> list[tuple[Status, str | None]]:
    """Return what anybody may read."""
    return [(outcome.status, outcome.output) for outcome in outcomes]


def test_checks_run_together(run: Run) -> None:
    """Checks that wait for each other pass."""
    barrier = threading.Barrier(3, timeout=20)
    checks = [Check(f"c{number}", barrier.wait) for number in range(3)]
    assert verdicts(run(Flights(20, 0), checks)) == [(Status.PASS, None)] * 3


async def test_coroutines_run_together_on_the_servers_loop() -> None:
    """Coroutine functions, partial ones and callable objects are tasks of the loop that asks."""
    loop = asyncio.get_running_loop()
    waiting = [asyncio.Event(), asyncio.Event()]

    class Meets:
        async def __call__(self) -> None:
            assert asyncio.get_running_loop() is loop
            waiting[0].set()
            await waiting[1].wait()

    async def meet() -> None:
        assert asyncio.get_running_loop() is loop
        waiting[1].set()
        await waiting[0].wait()

    async def plain() -> None:
        assert asyncio.get_running_loop() is loop

    checks = [Check("a", Meets()), Check("b", meet), Check("c", lambda: plain())]
    assert verdicts(await Flights(20, 0).outcomes(checks)) == [(Status.PASS, None)] * 3


def test_coroutines_where_there_is_no_loop() -> None:
    """Without a server's loop a coroutine function runs on one of its own, and not beyond the deadline."""

    async def answer() -> Observation:
        await asyncio.sleep(0)
        return Observation(7, "{job}")

    async def hang() -> None:
        await asyncio.sleep(60)

    outcomes = Flights(2, 0).outcomes_in_threads([Check("queue:length", answer), Check("hangs", hang)])
    assert [outcome.status for outcome in outcomes] == [Status.PASS, Status.FAIL]
    assert (outcomes[0].key, outcomes[0].value, outcomes[0].unit) == ("queue:length", 7, "{job}")


def test_what_a_check_may_say(run: Run) -> None:
    """A failure is `fail` of what is critical, else `warn`; of an exception anybody sees the class alone."""

    def refuse() -> None:
        raise ConnectionRefusedError("postgresql://shop:hunter2@db/shop")

    def explain() -> None:
        raise CheckFailedError("HTTP 503")

    def leave() -> None:
        raise SystemExit

    checks = [
        Check("a", refuse),
        Check("b", refuse, critical=False),
        Check("c", explain),
        Check("d", leave),
        Check("e", lambda: Observation(91, "%", Status.WARN, "filling up")),
        Check("f", lambda: Observation(99, "%", Status.FAIL, "full"), critical=False),
    ]
    assert verdicts(run(Flights(20, 0), checks)) == [
        (Status.FAIL, "ConnectionRefusedError"),
        (Status.WARN, "ConnectionRefusedError"),
        (Status.FAIL, "HTTP 503"),
        (Status.FAIL, "SystemExit"),
        (Status.WARN, "filling up"),
        (Status.WARN, "full"),
    ]


def test_a_check_that_hangs_does_not_pile_up(run: Run) -> None:
    """Who asks while a check hangs joins it, from the deadline on for no time; then it is run again."""
    go_on = threading.Event()
    calls: list[int] = []

    def hang() -> None:
        calls.append(1)
        go_on.wait(60)

    flights = Flights(1, 0)
    checks = [Check("hangs", hang)]
    late = [(Status.FAIL, "no answer within 1 s")]
    for _ in range(3):
        assert verdicts(run(flights, checks)) == late
    assert len(calls) == 1
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "ansflow-health-hangs":
            thread.join(20)
    assert verdicts(run(flights, checks)) == [(Status.PASS, None)]
    assert len(calls) == 2


def test_a_check_that_hangs_for_long_is_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead connection does not keep a dependency that is back from passing; a few may hang, not more."""
    monkeypatch.setattr(flights, "MIN_PATIENCE_S", 0.0)
    go_on = threading.Event()
    calls: list[int] = []

    def hang() -> None:
        calls.append(1)
        go_on.wait(60)

    tried = Flights(0.001, 0)
    while len(calls) < 1 + flights.MAX_ABANDONED:
        run(tried, [Check("hangs", hang)])
        threading.Event().wait(0.02)
    for _ in range(20):
        run(tried, [Check("hangs", hang)])
        threading.Event().wait(0.005)
    assert len(calls) == 1 + flights.MAX_ABANDONED
    go_on.set()


def test_results_are_kept_for_a_moment(run: Run) -> None:
    """Within `cache_s` a result is given again, unless the check does not want that; without it never."""
    calls: list[str] = []
    checks = [
        Check("kept", lambda: calls.append("kept")),
        Check("fresh", lambda: calls.append("fresh"), cached=False),
    ]
    kept, fresh = Flights(20, 60), Flights(20, 0)
    first, second = run(kept, checks), run(kept, checks)
    assert first[0] == second[0]
    assert sorted(calls) == ["fresh", "fresh", "kept"]
    run(fresh, checks)
    run(fresh, checks)
    assert calls.count("kept") == 3


def test_two_checks_of_one_name_are_two(run: Run) -> None:
    """Several entries of one name, one a node, are run each."""
    calls: list[str] = []
    checks = [Check("node", lambda: calls.append("a")), Check("node", lambda: calls.append("b"))]
    run(Flights(20, 60), checks)
    assert sorted(calls) == ["a", "b"]


def test_checks_see_the_callers_context(run: Run) -> None:
    """What is suppressed for a health request (its telemetry) is so in its checks, threads or not."""
    variable = contextvars.ContextVar("variable", default="nothing")
    seen: list[str] = []

    async def look() -> None:
        seen.append(variable.get())

    variable.set("something")
    run(Flights(20, 0), [Check("thread", lambda: seen.append(variable.get())), Check("task", look)])
    assert seen == ["something", "something"]


async def test_a_request_that_is_cancelled_leaves_the_check_to_others() -> None:
    """A client that goes away does not end the check that another one waits for."""
    started, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        await go_on.wait()

    flights = Flights(20, 0)
    checks = [Check("slow", work)]
    impatient = asyncio.create_task(flights.outcomes(checks))
    await started.wait()
    patient = asyncio.create_task(flights.outcomes(checks))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    go_on.set()
    assert verdicts(await patient) == [(Status.PASS, None)]


def test_only_changes_are_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A check that goes on failing is one line with the reason, without passwords, and one when it passes."""
    well = False

    def check() -> None:
        if not well:
            raise OSError("cannot reach redis://:hunter2@cache/0")

    flights = Flights(20, 0)
    caplog.set_level(logging.INFO)
    for _ in range(3):
        run(flights, [Check("cache", check)])
    well = True
    for _ in range(3):
        run(flights, [Check("cache", check)])
    assert [record.getMessage() for record in caplog.records] == [
        "health: cache: fail: OSError: cannot reach redis://***@cache/0",
        "health: cache passes again",
    ]


def test_a_forked_child_checks_for_itself() -> None:
    """What the parent found, or waits for, is nothing that its child would answer with."""
    flights = Flights(20, 60)
    flights.outcomes_in_threads([Check("pid", lambda: Observation(os.getpid(), ""))])
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        outcome = flights.outcomes_in_threads([Check("pid", lambda: Observation(os.getpid(), ""))])[0]
        os.write(writer, f"{outcome.value:.0f}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        assert answer.read() == str(pid)


def test_a_hanging_check_does_not_keep_a_process_from_ending() -> None:
    """Neither the interpreter nor the event loop waits at its end for a check that hangs."""
    program = """
import asyncio, time
from ansflow_instrumentation.health import Check
from ansflow_instrumentation.health.flights import Flights
checks = [Check("hangs", lambda: time.sleep(600))]
print(asyncio.run(Flights(0.1, 0).outcomes(checks))[0].status)
print(Flights(0.1, 0).outcomes_in_threads(checks)[0].status)
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["fail", "fail"]


def test_health_loads_no_framework_and_no_telemetry() -> None:
    """The package needs none of what it offers checks and endpoints for."""
    program = """
import sys
import ansflow_instrumentation.health
print(sorted({name.partition(".")[0] for name in sys.modules}
    & {"opentelemetry", "django", "fastapi", "starlette", "sqlalchemy", "redis", "httpx", "asyncpg"}))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
