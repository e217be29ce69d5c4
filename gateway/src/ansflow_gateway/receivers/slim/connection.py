"""One connection on the slim path."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from ansflow_gateway.receivers.modes import Mode
from ansflow_gateway.receivers.slim.heads import END, START, Head
from ansflow_gateway.web import problem
from ansflow_gateway.web.answer import Answer

if TYPE_CHECKING:
    from ansflow_gateway.receivers.slim.path import SlimPath

MAX_HEAD_BYTES: Final = 8190
"""Longest head looked for here; aiohttp says what is wrong with a longer one."""

MAX_AHEAD_BYTES: Final = 256 * 1024
"""Bytes of further requests after which a connection isn't read until its present one is answered."""

_LOG: Final = logging.getLogger(__name__)


class SlimConnection(asyncio.Protocol):
    """Answers one request after another, until one comes that is for aiohttp.

    Args:
        path: What the connections share.
    """

    __slots__ = (
        "_busy",
        "_counted",
        "_data",
        "_path",
        "_paused",
        "_stopped_reading",
        "_task",
        "_transport",
        "since",
    )

    def __init__(self, path: "SlimPath") -> None:
        self._path = path
        self._transport: asyncio.Transport | None = None
        self._data: bytes | bytearray = b""
        self._busy = self._counted = self._paused = self._stopped_reading = False
        self._task: asyncio.Task[Answer] | None = None
        self.since = time.monotonic()
        """When it last became idle, or its unfinished request began."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way, nor a part of one there."""
        return not self._busy and not self._data

    @property
    def under_way(self) -> bool:
        """Whether a request is there, or its head and a part of its body."""
        return self._counted

    @property
    def waits_for_body(self) -> bool:
        """Whether a part of a request is there, and the connection waits for the rest."""
        return not self._busy and not self._paused and bool(self._data)

    @property
    def unread(self) -> bool:
        """Whether nothing is begun any more, as the sender doesn't read the answers."""
        return self._paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]  # of a stream protocol, it is one
        self._path.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """End; what is under way is stored all the same, and told to nobody."""
        self._path.connections.discard(self)
        self._transport = None
        if not self._busy:
            self._count(False)

    def pause_writing(self) -> None:
        """Begin no further request while the sender doesn't read the answers."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._paused = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._data:
            if not isinstance(self._data, bytearray):
                self._data = bytearray(self._data)
            self._data += data
            if self._busy or self._paused:
                if len(self._data) > MAX_AHEAD_BYTES and self._transport and not self._stopped_reading:
                    self._stopped_reading = True
                    self._transport.pause_reading()
                return
            self._advance(self._data)
        elif self._busy or self._paused:
            self._data = data
        else:
            self._advance(data)

    def hand_over(self) -> None:
        """Give the connection to aiohttp, with what hasn't been answered; no request may be under way."""
        transport, data = self._transport, bytes(self._data)
        if transport is None or transport.is_closing():
            return
        self._count(False)
        self._path.connections.discard(self)
        self._transport, self._data = None, b""
        other = self._path.other()
        transport.set_protocol(other)
        other.connection_made(transport)
        if self._stopped_reading:
            self._stopped_reading = False
            transport.resume_reading()
        if data:
            other.data_received(data)

    def close(self) -> None:
        """Close the connection, once its answers are read."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection, whether or not its answers are read."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self, data: bytes | bytearray) -> None:
        """Begin the next request, if it is whole; none is under way."""
        end = data.find(END)
        if end < 0:
            self._keep(data)
            if len(data) > MAX_HEAD_BYTES or not START.startswith(data[: len(START)]):
                self.hand_over()
            return
        head = self._path.heads.read(bytes(data[:end])) if end <= MAX_HEAD_BYTES else None
        if head is None or not self._path.permits(head.authorization):
            self._keep(data)
            self.hand_over()
            return
        begin = end + len(END)
        stop = begin + head.length
        if not self._counted:
            self._count(True)
        if len(data) < stop:
            self._keep(data)
            return
        body = bytes(data[begin:stop])
        self._data = data[stop:]
        self._busy = True
        try:
            if head.mode is not Mode.STRUCTURED or not self._path.receiver.submit(body, self._answer):
                self._start(head, body)
        except Exception:  # noqa: BLE001 - the last resort, as `problem.problems` is for aiohttp
            _LOG.exception("a request failed")
            # Not at once: the next request may be there, and would begin, and fail, inside of this one.
            asyncio.get_running_loop().call_soon(self._answer, problem.failure())

    def _keep(self, data: bytes | bytearray) -> None:
        if not self._data:
            self.since = time.monotonic()
        self._data = data

    def _start(self, head: Head, body: bytes) -> None:
        receiver = self._path.receiver
        taking: Awaitable[Answer] = (
            receiver.take_batch(body, minimal=head.minimal)
            if head.mode is Mode.BATCH
            else receiver.take_strictly(body)
        )
        self._task = asyncio.ensure_future(taking)
        self._task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[Answer]") -> None:
        self._task = None
        if task.cancelled():
            self._busy = False
            self._count(False)
            self.close()
        elif error := task.exception():
            _LOG.error("a request failed", exc_info=error)
            self._answer(problem.failure())
        else:
            self._answer(task.result())

    def _answer(self, answer: Answer) -> None:
        self._busy = False
        close = self._path.drain.draining
        if self._transport is not None:
            self._transport.write(self._path.replies.encode(answer, close=close))
            if close:
                self._transport.close()
        self._count(False)
        self.since = time.monotonic()
        self._go_on()

    def _go_on(self) -> None:
        """Begin the next request, if it is there, and read on."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._busy or self._paused:
            return
        if self._data:
            self._advance(self._data)
        # Afterwards: each answer would else let in more than it took away.
        if self._stopped_reading and (not self._busy or len(self._data) <= MAX_AHEAD_BYTES):
            self._stopped_reading = False
            transport.resume_reading()

    def _count(self, under_way: bool) -> None:
        """Tell the draining whether it has to wait for this connection."""
        if under_way is not self._counted:
            self._counted = under_way
            if under_way:
                self._path.drain.enter()
            else:
                self._path.drain.leave()
