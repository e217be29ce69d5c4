"""What waits to be committed: bounded, handed over and answered group by group."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Settled, Verdict
from ansflow_gateway.errors import OverloadedError, StoreUnavailableError
from ansflow_gateway.storage.options import StoreOptions
from ansflow_gateway.storage.records import Record, make_record

_LOGGER: Final = logging.getLogger(__name__)

CLOSED: Final = "the store is closed"
"""Why a store takes nothing before it is opened, and after it is closed."""

LINGER_S: Final = 0.001
"""Longest wait for the senders who were answered last, in seconds.

Those who wait for each answer before they send again come back within that time, and so share the next
commit with those who came meanwhile: half as many commits as without it. A single sender waits for nobody.
"""


@dataclass(slots=True, eq=False)
class Call:
    """One call of `submit` that waits.

    Args:
        records: Its events.
        settled: Is told what became of them.
        offered_at: When it came, by the monotonic clock, in seconds.
        verdicts: What the writer decided.
        answered: Whether the writer is done with it.
    """

    records: list[Record]
    settled: Settled
    offered_at: float
    verdicts: list[Verdict] = field(default_factory=list)
    answered: bool = False


Group = list[Call]
"""Calls that are committed together."""


class Intake:
    """Takes calls, hands them to the writer in groups, and answers them; all on one event loop.

    One group at a time is with the writer; what comes meanwhile makes the next. The keys and the encoding of
    events are made here, in the caller's turn: an event that can't be encoded fails its own call, and nobody
    else's.

    Args:
        options: The store's settings.
        put: Hands a group to the writer; it doesn't block. The writer has `answer` called once for each.
    """

    def __init__(self, options: StoreOptions, put: Callable[[Group], None]) -> None:
        self._max_waiting = options.max_waiting
        self._max_group = options.max_group
        self._committed = options.committed
        self._put = put
        self._open = False
        self._next: Group = []
        self._under_way = 0
        self._expected = 1
        self._lingering: asyncio.TimerHandle | None = None
        self.waiting = 0
        """Events that wait for their commit."""

    def open(self) -> None:
        """Take calls from now on."""
        self._open = True

    def close(self) -> None:
        """Take no more calls; those that wait still are handed over now, and will be answered."""
        self._open = False
        while self._next:
            self._hand_over()

    def submit(self, events: Sequence[Event], settled: Settled) -> None:
        """Have events committed; see `EventStore.submit`."""
        if not self._open:
            raise StoreUnavailableError(CLOSED)
        count = len(events)
        if self.waiting + count > self._max_waiting:
            raise OverloadedError(
                f"{self.waiting} events wait to be committed; {count} more would exceed {self._max_waiting}"
            )
        call = Call([make_record(event) for event in events], settled, time.monotonic())
        self.waiting += count
        self._next.append(call)
        if not self._under_way:
            self._consider()

    async def offer(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Wait until events are committed; see `EventStore.apply`."""
        future: asyncio.Future[Sequence[Verdict]] = asyncio.get_running_loop().create_future()

        def settle(verdicts: Sequence[Verdict], error: Exception | None) -> None:
            if future.done():  # the caller was cancelled, and doesn't want to know
                return
            if error is None:
                future.set_result(verdicts)
            else:
                # One exception an awaiter: each raise adds to the traceback.
                future.set_exception(type(error)(*error.args))

        if not events:
            return []
        self.submit(events, settle)
        return await future

    def answer(self, group: Group, error: Exception | None = None) -> None:
        """Tell callers what became of their events.

        Args:
            group: Calls that the writer has done with, which were handed over together.
            error: What went wrong; nothing of theirs was taken.
        """
        self._under_way -= 1
        self._expected = len(group) + len(self._next)
        for call in group:
            self.waiting -= len(call.records)
            try:
                call.settled(call.verdicts, error)
            except Exception:  # one caller's fault must not keep the others waiting
                _LOGGER.exception("a caller failed to hear what became of its events")
        if self._next and not self._under_way and self._lingering is None:
            self._consider()
        if error is None:
            self._committed(time.monotonic() - group[0].offered_at)

    def _consider(self) -> None:
        if len(self._next) >= self._expected or self.waiting >= self._max_group:
            self._hand_over()
        elif self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(LINGER_S, self._hand_over)

    def _hand_over(self) -> None:
        """Hand the next group to the writer: what waits, up to the limit; a call is never split."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if not self._next or (self._under_way and self._open):
            return
        size = count = 0
        while size < len(self._next) and count < self._max_group:
            count += len(self._next[size].records)
            size += 1
        group, self._next = self._next[:size], self._next[size:]
        self._under_way += 1
        self._put(group)
