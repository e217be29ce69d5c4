"""How late each event loop is: `ansflow.eventloop.lag`.

While a loop runs, it has one timer, due every tenth of a second, of an idle loop every half. How long after
that moment the timer really runs is what everything else in the loop waits as well.

A late timer alone would tell too little, twice over:

- A loop that is blocked for a second, beginning shortly before a timer is due, makes that timer late by less.
  What waited longest came right after the loop was last seen alive, so a lag of an interval or more is
  counted from there: a block of two intervals or more is never recorded shorter than it was, and at most an
  interval longer.
- All timers that would have been due meanwhile would have been late, too. They are recorded as well, each
  with its own lag, so that the histogram is how late the loop was over time: a loop that is blocked a tenth
  of the time is late in a tenth of the counts, not in one of hundreds.

The hook is `run_forever`, which is asyncio's documented way to run a loop, and which everything that runs one
comes down to: `asyncio.run`, `Runner`, `run_until_complete`, uvicorn, gunicorn's uvicorn workers, Hypercorn,
Twisted's reactor under Daphne. It is called once a loop, so the hook costs nothing while the loop runs. (To
replace `asyncio.events._set_running_loop` is to rely on something private, which uvloop binds when it is
imported; to wrap servers is to have one hook each.) asyncio's own loops and uvloop's are hooked when they are
imported. The timer does not keep a loop from ending, and ends with it.
"""

import functools
from collections.abc import Iterator
from contextvars import Context
from time import monotonic, thread_time
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Meter

from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.recording import BoundHistogram
from ansflow_instrumentation.runtime.supervisors import is_supervisor
from ansflow_instrumentation.survive import survive

if TYPE_CHECKING:  # who runs no loop need not import asyncio
    from asyncio import AbstractEventLoop, TimerHandle

__all__ = ["LoopProbe", "lags", "start", "stop"]

INTERVAL_S = 0.1
"""Between two timers of a loop that works."""

IDLE_INTERVAL_S = 0.5
"""Between two timers of a loop that has had nothing to do for a while."""

IDLE_SHARE = 0.01
"""A loop whose thread used less of a CPU between two timers had next to nothing to do."""

TIMERS_UNTIL_IDLE = 100
"""Timers in a row, ten seconds, after which a loop without anything to do counts as idle."""

MAX_MISSED = 600
"""Missed timers that are recorded for one block: a minute's."""

LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: below 1 ms are the timers themselves; from 0.1 s on people notice."""


def lags(late_s: float, interval_s: float) -> Iterator[float]:
    """Tell how late a timer was, and how late those would have been that were due meanwhile.

    Args:
        late_s: How late the timer was.
        interval_s: Between two timers.

    Yields:
        Seconds, the longest first.
    """
    if late_s < interval_s:
        yield max(0.0, late_s)
        return
    yield late_s + interval_s
    for missed in range(min(int(late_s / interval_s), MAX_MISSED)):
        yield late_s - missed * interval_s


class LoopProbe:
    """Measures one run of a loop.

    Args:
        loop: That is about to run.
        lag: Takes each lag, in seconds.
    """

    __slots__ = ("_cpu_s", "_due", "_idle_timers", "_interval_s", "_lag", "_loop", "_timer")

    def __init__(self, loop: "AbstractEventLoop", lag: BoundHistogram) -> None:
        self._loop = loop
        self._lag = lag
        self._interval_s = INTERVAL_S
        self._idle_timers = 0
        self._cpu_s = 0.0
        self._due = 0.0
        self._timer: TimerHandle | None = None
        self._arm()

    def stop(self) -> None:
        """Measure no more; the loop has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._due = monotonic() + self._interval_s  # uvloop's own clock stands still within a turn
        # In an empty context: the timer is no part of whatever started the loop.
        self._timer = self._loop.call_later(self._interval_s, self._on_timer, context=Context())

    def _on_timer(self) -> None:
        for lag in lags(monotonic() - self._due, self._interval_s):
            self._lag.record(lag, None)
        cpu_s = thread_time()
        self._idle_timers = (
            self._idle_timers + 1 if cpu_s - self._cpu_s < IDLE_SHARE * self._interval_s else 0
        )
        self._cpu_s = cpu_s
        self._interval_s = IDLE_INTERVAL_S if self._idle_timers >= TIMERS_UNTIL_IDLE else INTERVAL_S
        self._arm()


_lag: BoundHistogram | None = None
"""Takes the lags of all loops; without it, loops run unobserved."""

_HOOK = "_ansflow_hook"


def start(meter: Meter) -> None:
    """Observe the loops that are run from now on.

    Args:
        meter: Makes the instrument.
    """
    global _lag
    lag = meter.create_histogram(
        "ansflow.eventloop.lag",
        "s",
        "How late the event loop was, over the time that it ran.",
        explicit_bucket_boundaries_advisory=LAG_BOUNDS,
    )
    _lag = BoundHistogram(lag, {})
    when_imported("asyncio.base_events", lambda module: _hook(module.BaseEventLoop))
    when_imported("uvloop", _hook_uvloop)


def stop() -> None:
    """Observe no loop that is run from now on; the hooks stay, and do nothing."""
    global _lag
    _lag = None


def _hook_uvloop(module: ModuleType) -> None:
    _hook(module.Loop)


def _hook(loop_class: Any) -> None:
    run_forever = loop_class.run_forever
    if hasattr(run_forever, _HOOK):
        return

    @functools.wraps(run_forever)
    def observed(self: "AbstractEventLoop") -> None:
        probe: LoopProbe | None = None
        # A closed loop, or one that runs already, is for `run_forever` itself to refuse. (gunicorn's master
        # has a loop as well, for its control socket.)
        if _lag is not None and not (self.is_closed() or self.is_running() or is_supervisor()):
            with survive("Observing an event loop"):
                probe = LoopProbe(self, _lag)
        try:
            run_forever(self)
        finally:
            if probe is not None:
                probe.stop()

    setattr(observed, _HOOK, True)
    loop_class.run_forever = observed
