"""How the gateway itself is doing: its store, its spool, its event loop, its pushes."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from ansflow_gateway.meters import declared_gateway as d
from ansflow_gateway.meters.instruments import Instruments, Measurement

LAG_INTERVAL_S: Final = 0.5
"""Time between two looks at the event loop's lag, in seconds."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What is read when meters are collected, from any thread.

    Args:
        available: Whether the store can commit.
        leads: Whether this gateway does the folding.
        waiting: How many events wait to be committed.
        spooled: How many events are in the spool.
        spooled_bytes: How many bytes they take.
        spool_quota: How many bytes they may take.
    """

    available: Callable[[], bool]
    leads: Callable[[], bool]
    waiting: Callable[[], int]
    spooled: Callable[[], int]
    spooled_bytes: Callable[[], int]
    spool_quota: int


class GatewayMeters:
    """Reports on the gateway.

    Args:
        instruments: Do the reporting.
        readings: What there is to be read.
    """

    def __init__(self, instruments: Instruments, readings: Readings) -> None:
        self._instruments = instruments
        self._pushes: dict[str, Callable[[], int]] = {}
        for declaration, read in (
            (d.STORE_AVAILABLE, readings.available),
            (d.STORE_LEADER, readings.leads),
            (d.STORE_WAITING, readings.waiting),
            (d.SPOOL_WAITING, readings.spooled),
            (d.SPOOL_USAGE, readings.spooled_bytes),
            (d.SPOOL_LIMIT, lambda: readings.spool_quota),
        ):
            instruments.observe(declaration, partial(_number, read))
        instruments.observe(d.PUSH_FAILURES, self._push_failures)

    def pushing(self, signal: str, failed: Callable[[], int]) -> None:
        """Report on the pushes of a signal from now on.

        Args:
            signal: What is pushed: `metrics` or `traces`.
            failed: Tells, from any thread, how many pushes have failed since the start.
        """
        self._pushes = {**self._pushes, signal: failed}

    def committed(self, waited_s: float) -> None:
        """Record that a group of events was committed.

        Args:
            waited_s: How long the first of them had waited, in seconds.
        """
        self._instruments.record(d.STORE_COMMIT_DURATION, waited_s, {})

    async def watch_loop(self) -> None:
        """Record the event loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL_S
            await asyncio.sleep(LAG_INTERVAL_S)
            self._instruments.record(d.LOOP_LAG, max(0.0, loop.time() - due), {})

    def _push_failures(self) -> Iterable[Measurement]:
        # Zeros are meant: a rate over a series that begins with its first failure doesn't see it.
        return [Measurement(failed(), {d.SIGNAL: signal}) for signal, failed in self._pushes.items()]


def _number(read: Callable[[], int]) -> Iterable[Measurement]:
    return (Measurement(int(read()), {}),)
