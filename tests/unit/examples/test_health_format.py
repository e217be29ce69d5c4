"""The health format and its probes."""

import asyncio
import contextvars
import json
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from platform_health import Check, Report, Status, uptime_check
from platform_health.probes import AsyncProbe, Probe, ThreadProbe, run_async, run_in_threads

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def check(status: Status) -> Check:
    """Return a check with a status."""
    return Check("database:responseTime", "datastore", status, 1.23456, "ms", NOON)


@pytest.mark.parametrize(
    ("statuses", "overall", "http_status"),
    [
        ([], Status.PASS, 200),
        ([Status.PASS, Status.PASS], Status.PASS, 200),
        ([Status.PASS, Status.WARN], Status.WARN, 200),
        ([Status.FAIL, Status.WARN, Status.PASS], Status.FAIL, 503),
    ],
)
def test_report_is_as_good_as_its_worst_check(
    statuses: list[Status], overall: Status, http_status: int
) -> None:
    """The overall status is the worst of the checks, and only `fail` is a 503."""
    report = Report("service", "1", tuple(check(status) for status in statuses))
    assert report.status is overall
    assert report.http_status == http_status


def test_report_document() -> None:
    """A report is the draft's document: checks by name, values with units, times in UTC."""
    document = json.loads(
        Report("service", "1.0", (check(Status.PASS), uptime_check(seconds=7, now=NOON))).as_bytes()
    )
    assert document == {
        "status": "pass",
        "version": "1.0",
        "serviceId": "service",
        "checks": {
            "database:responseTime": [
                {
                    "componentType": "datastore",
                    "observedValue": 1.235,
                    "observedUnit": "ms",
                    "status": "pass",
                    "time": "2026-01-01T12:00:00.000Z",
                }
            ],
            "uptime": [
                {
                    "componentType": "system",
                    "observedValue": 7,
                    "observedUnit": "s",
                    "status": "pass",
                    "time": "2026-01-01T12:00:00.000Z",
                }
            ],
        },
    }


async def test_async_probes_run_together() -> None:
    """Probes run at the same time: two that wait for each other both pass."""
    one, other = asyncio.Event(), asyncio.Event()

    def meet(mine: asyncio.Event, yours: asyncio.Event) -> Callable[[], Awaitable[object]]:
        async def call() -> None:
            mine.set()
            await yours.wait()

        return call

    probes: list[AsyncProbe] = [
        Probe("a", "component", meet(one, other), required=True),
        Probe("b", "component", meet(other, one), required=True),
    ]
    checks = await run_async(probes, deadline_s=20)
    assert [(item.name, item.status) for item in checks] == [
        ("a:responseTime", Status.PASS),
        ("b:responseTime", Status.PASS),
    ]


async def test_async_probe_that_fails_or_hangs() -> None:
    """A failure is `fail` where the dependency is required and `warn` where not; so is a missed deadline."""

    async def refuse() -> None:
        raise ConnectionRefusedError("secret-host:5432")

    async def hang() -> None:
        await asyncio.Event().wait()

    probes: list[AsyncProbe] = [
        Probe("database", "datastore", refuse, required=True),
        Probe("peer", "component", hang, required=False),
    ]
    database, peer = await run_async(probes, deadline_s=0.05)
    assert (database.status, database.output) == (Status.FAIL, "ConnectionRefusedError")
    assert (peer.status, peer.output) == (Status.WARN, "no answer within 0.05 s")


def test_thread_probes_run_together_in_the_callers_context() -> None:
    """Threads run at the same time and see the caller's context variables."""
    variable = contextvars.ContextVar("variable", default="nothing")
    variable.set("something")
    barrier = threading.Barrier(2, timeout=20)
    seen: list[str] = []

    def meet() -> None:
        seen.append(variable.get())
        barrier.wait()

    probes: list[ThreadProbe] = [Probe(name, "component", meet, required=True) for name in "ab"]
    assert [item.status for item in run_in_threads(probes, deadline_s=20)] == [Status.PASS, Status.PASS]
    assert seen == ["something", "something"]


def test_thread_probe_that_fails_or_hangs() -> None:
    """A probe that raises has failed; one that hangs is not waited for beyond the deadline."""
    go_on = threading.Event()

    def refuse() -> None:
        raise OSError("secret-host")

    probes: list[ThreadProbe] = [
        Probe("database", "datastore", refuse, required=True),
        Probe("peer", "component", lambda: go_on.wait(30), required=False),
    ]
    database, peer = run_in_threads(probes, deadline_s=1)
    go_on.set()
    assert (database.status, database.output) == (Status.FAIL, "OSError")
    assert (peer.status, peer.output) == (Status.WARN, "no answer within 1 s")
