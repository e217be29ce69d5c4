"""How the gateway itself is doing: its store, its spool, its event loop."""

import asyncio
from collections.abc import Callable
from typing import Final

from ansflow_gateway.meters import catalogue as c
from ansflow_gateway.meters.instruments import Instruments, Measurement

LAG_INTERVAL_S: Final = 0.5
"""Time between two looks at the event loop's lag, in seconds."""


class GatewayMeters:
    """Reports on the gateway.

    Args:
        instruments: Do the reporting.
        waiting: Tells, from any thread, how many events wait to be committed.
        spooled: Tells, from any thread, how many events are in the spool.
    """

    def __init__(
        self, instruments: Instruments, waiting: Callable[[], int], spooled: Callable[[], int]
    ) -> None:
        self._instruments = instruments
        instruments.observe(c.STORE_WAITING, lambda: (Measurement(waiting(), {}),))
        instruments.observe(c.SPOOL_WAITING, lambda: (Measurement(spooled(), {}),))

    def committed(self, waited_s: float) -> None:
        """Record that a group of events was committed.

        Args:
            waited_s: How long the first of them had waited, in seconds.
        """
        self._instruments.record(c.STORE_COMMIT_DURATION, waited_s, {})

    async def watch_loop(self) -> None:
        """Record the event loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL_S
            await asyncio.sleep(LAG_INTERVAL_S)
            self._instruments.record(c.LOOP_LAG, max(0.0, loop.time() - due), {})
