"""Probes of dependencies, run all at once and each within a deadline, on asyncio or on threads."""

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from platform_health.report import Check, Status

logger = logging.getLogger(__name__)

Call = TypeVar("Call")


@dataclass(frozen=True, slots=True)
class Probe(Generic[Call]):
    """A way to find out whether a dependency answers.

    Args:
        component: The dependency's name, such as `database`.
        component_type: `datastore` or `component`.
        call: Returns where the dependency answers, raises where it does not.
        required: Whether the service is of no use without it: its failure is `fail`, else `warn`.
    """

    component: str
    component_type: str
    call: Call
    required: bool


AsyncProbe = Probe[Callable[[], Awaitable[object]]]
ThreadProbe = Probe[Callable[[], object]]


async def run_async(probes: Sequence[AsyncProbe], *, deadline_s: float) -> tuple[Check, ...]:
    """Run all probes at the same time.

    Args:
        probes: What to probe.
        deadline_s: How long each may take; what takes longer has failed.

    Returns:
        One check for each probe, in their order.
    """

    async def run(probe: AsyncProbe) -> Check:
        started = time.perf_counter()
        output = None
        try:
            async with asyncio.timeout(deadline_s):
                await probe.call()
        except TimeoutError:
            output = _late(deadline_s)
        except Exception as error:  # noqa: BLE001 - whatever a dependency raises is the finding
            output = _why(probe.component, error)
        return _check(probe, time.perf_counter() - started, output)

    return tuple(await asyncio.gather(*(run(probe) for probe in probes)))


def run_in_threads(probes: Sequence[ThreadProbe], *, deadline_s: float) -> tuple[Check, ...]:
    """Run all probes at the same time, each in a thread of its own.

    The threads see the caller's context variables. One that misses the deadline is left to end by itself,
    so each probe must have a time limit of its own.

    Args:
        probes: What to probe.
        deadline_s: How long to wait for all of them.

    Returns:
        One check for each probe, in their order.
    """

    def run(probe: ThreadProbe) -> Check:
        started = time.perf_counter()
        output = None
        try:
            probe.call()
        except Exception as error:  # noqa: BLE001 - whatever a dependency raises is the finding
            output = _why(probe.component, error)
        return _check(probe, time.perf_counter() - started, output)

    executor = ThreadPoolExecutor(max_workers=max(1, len(probes)), thread_name_prefix="health")
    try:
        futures = [executor.submit(contextvars.copy_context().run, run, probe) for probe in probes]
        done, _ = wait(futures, timeout=deadline_s)

        def checks() -> Iterator[Check]:
            for probe, future in zip(probes, futures, strict=True):
                yield future.result() if future in done else _check(probe, deadline_s, _late(deadline_s))

        return tuple(checks())
    finally:
        executor.shutdown(wait=False)


def _check(probe: Probe[Call], elapsed_s: float, output: str | None) -> Check:
    failed = Status.FAIL if probe.required else Status.WARN
    return Check(
        name=f"{probe.component}:responseTime",
        component_type=probe.component_type,
        status=Status.PASS if output is None else failed,
        observed_value=elapsed_s * 1000,
        observed_unit="ms",
        time=datetime.now(UTC),
        output=output,
    )


def _late(deadline_s: float) -> str:
    return f"no answer within {deadline_s:g} s"


def _why(component: str, error: Exception) -> str:
    # The answer may be read by anybody: the error's text, which can hold addresses, is for the log alone.
    logger.warning("health: %s does not answer: %s: %s", component, type(error).__name__, error)
    return type(error).__name__
