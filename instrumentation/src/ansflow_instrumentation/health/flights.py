"""Runs checks: all at once, each once at a time, and none of them waited for beyond the deadline.

A run of a check is a flight. A request joins the flight that is under way, or takes the result of one that
landed a moment ago; so however often health is asked for, a dependency sees one check at a time, and a check
that hangs is one hanging thread. Threads are our own daemon threads: those of an executor would be joined at
exit, and a hanging check would keep the process from ending.
"""

import asyncio
import contextlib
import contextvars
import logging
import os
import re
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from inspect import isawaitable

from ansflow_instrumentation.health.checks import Check, CheckFailedError, Outcome, Status

__all__ = ["Flights"]

MIN_PATIENCE_S = 30.0
"""A check that hangs for so long, or ten deadlines, is tried again beside it: its connection may be dead, and
the dependency back."""

MAX_ABANDONED = 3
"""Flights of one check that may hang beside the newest."""

_USERINFO = re.compile(r"://[^/@\s]+@")

_logger = logging.getLogger(__name__)
_all_flights: "weakref.WeakSet[Flights]" = weakref.WeakSet()


class _Flight:
    """One run of a check.

    Attributes:
        started: When, in monotonic seconds.
        landed: When it was over; None before.
        outcome: What will have come of it.
        task: Keeps a coroutine's task from being collected.
    """

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.landed: float | None = None
        self.outcome: Future[Outcome] = Future()
        self.task: asyncio.Task[None] | None = None

    def land(self, outcome: Outcome) -> None:
        self.outcome.set_result(outcome)
        self.landed = time.monotonic()  # last: who sees it may take the outcome


class _Track:
    """What is remembered of one check."""

    def __init__(self) -> None:
        self.newest: _Flight | None = None
        self.abandoned: list[_Flight] = []
        self.status = Status.PASS


class Flights:
    """Runs the checks of one service, for any number of requests, threads and event loops.

    Args:
        deadline_s: Seconds after which a check that has not answered has failed.
        cache_s: Seconds for which a result is given again; 0 for not at all.
    """

    def __init__(self, deadline_s: float, cache_s: float) -> None:
        self._deadline_s = deadline_s
        self._cache_s = cache_s
        self.start_over()
        _all_flights.add(self)

    def start_over(self) -> None:
        """Forget all flights: a forked child has none of its parent's threads."""
        self._lock = threading.Lock()
        self._tracks: dict[tuple[str, int], _Track] = {}

    async def outcomes(self, checks: Sequence[Check]) -> list[Outcome]:
        """Run checks: coroutine functions as tasks of the running loop, the others in threads.

        A request that is cancelled leaves the flights to the others.

        Args:
            checks: What to check.

        Returns:
            Their outcomes, in the same order, at the deadline at the latest.
        """
        loop = asyncio.get_running_loop()
        joined = self._join(checks, lambda check, flight: self._depart(check, flight, loop))
        waiting = [flight for _, _, flight in joined if flight.landed is None]
        left_s = self._left_s(waiting)
        if left_s > 0:
            all_landed = asyncio.Event()

            def landed(_: "Future[Outcome]") -> None:
                if all(flight.outcome.done() for flight in waiting):
                    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                        loop.call_soon_threadsafe(all_landed.set)

            for flight in waiting:
                flight.outcome.add_done_callback(landed)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await all_landed.wait()
        return self._collect(joined)

    def outcomes_in_threads(self, checks: Sequence[Check]) -> list[Outcome]:
        """Run checks, each in a thread of its own, where there is no event loop.

        Args:
            checks: What to check.

        Returns:
            Their outcomes, in the same order, at the deadline at the latest.
        """
        joined = self._join(checks, lambda check, flight: self._depart_in_thread(check, flight, None))
        waiting = [flight for _, _, flight in joined if flight.landed is None]
        wait([flight.outcome for flight in waiting], timeout=max(0.0, self._left_s(waiting)))
        return self._collect(joined)

    def _join(
        self, checks: Sequence[Check], depart: Callable[[Check, _Flight], None]
    ) -> list[tuple[Check, _Track, _Flight]]:
        seen: Counter[str] = Counter()
        joined = []
        for check in checks:
            with self._lock:
                track = self._tracks.setdefault((check.name, seen[check.name]), _Track())
                flight = self._under_way(track, self._cache_s if check.cached else 0.0)
                if flight is None:
                    flight = track.newest = _Flight()
                    departs = True
                else:
                    departs = False
            seen[check.name] += 1
            if departs:
                depart(check, flight)
            joined.append((check, track, flight))
        return joined

    def _under_way(self, track: _Track, cache_s: float) -> _Flight | None:
        flight = track.newest
        if flight is None:
            return None
        now = time.monotonic()
        if flight.landed is not None:
            return flight if now - flight.landed < cache_s else None
        if flight.task is not None and flight.task.get_loop().is_closed():
            return None  # a loop that ended without its tasks
        if now - flight.started < max(MIN_PATIENCE_S, 10 * self._deadline_s):
            return flight
        track.abandoned = [other for other in track.abandoned if other.landed is None]
        if len(track.abandoned) >= MAX_ABANDONED:
            return flight
        track.abandoned.append(flight)
        return None

    def _left_s(self, waiting: Sequence[_Flight]) -> float:
        newest = max((flight.started for flight in waiting), default=0.0)
        return newest + self._deadline_s - time.monotonic()

    def _collect(self, joined: Sequence[tuple[Check, _Track, _Flight]]) -> list[Outcome]:
        return [self._noted(check, track, self._outcome(check, flight)) for check, track, flight in joined]

    def _outcome(self, check: Check, flight: _Flight) -> Outcome:
        if flight.outcome.done():
            return flight.outcome.result()
        return Outcome.of(check, time.monotonic() - flight.started, self._late())

    def _noted(self, check: Check, track: _Track, outcome: Outcome) -> Outcome:
        with self._lock:
            before, track.status = track.status, outcome.status
        if before is not outcome.status:
            if outcome.status is Status.PASS:
                _logger.info("health: %s passes again", check.name)
            else:
                reason = _USERINFO.sub("://***@", outcome.detail or "")
                _logger.warning("health: %s: %s: %s", check.name, outcome.status.value, reason)
        return outcome

    def _late(self) -> CheckFailedError:
        return CheckFailedError(f"no answer within {self._deadline_s:g} s")

    def _judge(self, check: Check, flight: _Flight, result: object) -> Outcome:
        elapsed_s = time.monotonic() - flight.started
        return Outcome.of(check, elapsed_s, self._late() if elapsed_s > self._deadline_s else result)

    def _depart(self, check: Check, flight: _Flight, loop: asyncio.AbstractEventLoop) -> None:
        if not check.is_async:
            self._depart_in_thread(check, flight, loop)
            return
        flight.task = loop.create_task(self._fly(check, flight), name=f"health {check.name}")
        # One that was cancelled before its first step has not landed itself.
        flight.task.add_done_callback(lambda _: self._land_cancelled(check, flight))

    async def _fly(self, check: Check, flight: _Flight) -> None:
        result: object
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                result = await check.call()  # type: ignore[misc] # as `is_async` found
        except Exception as error:  # noqa: BLE001 # whatever a dependency raises is the finding
            result = self._late() if deadline.expired() else error
        flight.land(self._judge(check, flight, result))

    def _land_cancelled(self, check: Check, flight: _Flight) -> None:
        if not flight.outcome.done():
            flight.land(self._judge(check, flight, asyncio.CancelledError("the event loop is ending")))

    def _depart_in_thread(
        self, check: Check, flight: _Flight, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        # The thread sees the caller's context: telemetry that is suppressed for health stays so.
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run,
            args=(self._fly_in_thread, check, flight, loop),
            name=f"ansflow-health-{check.name}",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads are to be had
            flight.land(Outcome.of(check, 0.0, error))

    def _fly_in_thread(self, check: Check, flight: _Flight, loop: asyncio.AbstractEventLoop | None) -> None:
        result: object
        try:
            result = check.call()
            if isawaitable(result):
                result = self._awaited(result, loop)
        except BaseException as error:  # noqa: BLE001 # as above; a thread has nobody else to tell
            result = error
        flight.land(self._judge(check, flight, result))

    def _awaited(self, result: object, loop: asyncio.AbstractEventLoop | None) -> object:
        async def wait_for_it() -> object:
            async with asyncio.timeout(self._deadline_s):
                return await result  # type: ignore[misc] # an awaitable

        if loop is None:
            return asyncio.run(wait_for_it())
        return asyncio.run_coroutine_threadsafe(wait_for_it(), loop).result(2 * self._deadline_s)


def _start_over_in_child() -> None:
    for flights in list(_all_flights):
        flights.start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)
