"""What waits to be committed: bounded, and answered group by group."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.errors import OverloadedError, StoreUnavailableError
from ansflow_gateway.storage.records import Record, make_record

CLOSED = "the store is closed"
"""Why a store takes nothing before it is opened, and after it is closed."""


@dataclass(slots=True, eq=False)
class Call:
    """One call of `apply` that waits.

    Args:
        records: Its events.
        future: What the caller awaits: one verdict an event.
        verdicts: What the writer decided.
        offered_at: When it came, by the monotonic clock, in seconds.
        answered: Whether the writer is done with it.
    """

    records: list[Record]
    future: "asyncio.Future[Sequence[Verdict]]"
    offered_at: float
    verdicts: list[Verdict] = field(default_factory=list)
    answered: bool = False


class Intake:
    """Takes the calls of `apply`, and answers them; only tasks of one event loop call it.

    The keys and the encoding of events are made here, in the caller's task: an event that can't be encoded
    fails its own call, and nobody else's.

    Args:
        max_waiting: Most events that wait.
        put: Hands a call to the writer; it doesn't block.
        committed: Is told, of each group that was committed, how long its first call waited, in seconds.
    """

    def __init__(
        self,
        max_waiting: int,
        put: Callable[[Call], None],
        committed: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._max_waiting = max_waiting
        self._put = put
        self._committed = committed
        self._open = False
        self.waiting = 0

    def open(self) -> None:
        """Take calls from now on."""
        self._open = True

    def close(self) -> None:
        """Take no more calls; those that wait still are to be answered."""
        self._open = False

    async def offer(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Wait until events are committed; see `EventStore.apply`."""
        if not self._open:
            raise StoreUnavailableError(CLOSED)
        count = len(events)
        if self.waiting + count > self._max_waiting:
            raise OverloadedError(
                f"{self.waiting} events wait to be committed; {count} more would exceed {self._max_waiting}"
            )
        if not events:
            return []
        loop = asyncio.get_running_loop()
        call = Call([make_record(event) for event in events], loop.create_future(), time.monotonic())
        self.waiting += count
        self._put(call)
        return await call.future

    def answer(self, calls: Sequence[Call], error: Exception | None = None) -> None:
        """Give callers their verdicts, or the reason why there are none.

        Args:
            calls: Calls that the writer has done with.
            error: What went wrong; nothing of theirs was taken.
        """
        if calls and error is None:
            self._committed(time.monotonic() - calls[0].offered_at)
        for call in calls:
            self.waiting -= len(call.records)
            if call.future.done():  # the caller was cancelled, and doesn't want to know
                continue
            if error is None:
                call.future.set_result(call.verdicts)
            else:
                # One exception an awaiter: each raise adds to the traceback.
                call.future.set_exception(type(error)(*error.args))
