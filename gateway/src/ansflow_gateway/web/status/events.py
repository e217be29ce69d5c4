"""`GET /status/events`: what changes on the page, told to all who look at it.

One task renders for everybody, once a tick, and only while somebody looks. Each client has a bounded queue;
one that doesn't keep up is cut off: its browser connects again and gets the present state.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ansflow_gateway.web.status.assets import ASSETS
from ansflow_gateway.web.status.history import History
from ansflow_gateway.web.status.sections import Sections, render
from ansflow_gateway.web.status.source import StatusSource

_LOG: Final = logging.getLogger(__name__)

_HEARTBEAT: Final = b":\n\n"
_RETRY_MS: Final = 2000


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Paces and bounds.

    Args:
        tick_s: Time between two looks for changes, in seconds; a page is at most that old.
        sample_s: Time between two samples of the charts, in seconds.
        heartbeat_s: Longest silence of a stream, in seconds: so that a dead connection is noticed.
        max_clients: Most streams at a time.
        queue: Updates that a client may be behind.
    """

    tick_s: float = 1.0
    sample_s: float = 5.0
    heartbeat_s: float = 15.0
    max_clients: int = 32
    queue: int = 8


class Client:
    """One stream.

    Args:
        transport: Its connection; None where it is gone already.
        size: Updates that it may be behind.
    """

    def __init__(self, transport: asyncio.Transport | None, size: int) -> None:
        self._transport = transport
        # One place more than may be used by updates: the end always fits.
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(size + 1)
        self._size = size

    @property
    def gone(self) -> bool:
        """Whether its connection is closed."""
        return self._transport is None or self._transport.is_closing()

    def offer(self, frame: bytes) -> bool:
        """Queue an update; false where it is too far behind."""
        if self._queue.qsize() >= self._size:
            return False
        self._queue.put_nowait(frame)
        return True

    def end(self) -> None:
        """End the stream after what is queued."""
        if not self._queue.full():
            self._queue.put_nowait(None)

    def cut_off(self) -> None:
        """End the connection at once, whatever is still to be sent."""
        if self._transport:
            self._transport.abort()
        self.end()

    async def frames(self) -> AsyncIterator[bytes]:
        """Give what is to be sent, until the stream ends."""
        while (frame := await self._queue.get()) is not None:
            yield frame


@dataclass
class Live:
    """Keeps the rendered sections, and tells clients what changes. Its methods belong to the event loop.

    Args:
        source: Knows what is to be shown; it is asked in another thread.
        options: Paces and bounds.
    """

    source: StatusSource
    options: LiveOptions = field(default_factory=LiveOptions)
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.dropped = 0
        """Clients that were cut off since they didn't keep up."""
        self._clients: set[Client] = set()
        self._sections: Sections = {}
        self._rendered_at: float | None = None
        self._told: Mapping[str, str] = {}
        self._rendering = asyncio.Lock()
        self._closed = False
        self._failing = False

    @property
    def clients(self) -> int:
        """Number of streams."""
        return len(self._clients)

    async def run(self) -> None:
        """Sample and tell until cancelled."""
        sampled_at = told_at = 0.0
        while True:
            now = time.monotonic()
            try:
                if now - sampled_at >= self.options.sample_s:
                    sampled_at = now
                    readings = await asyncio.to_thread(self.source.readings)
                    self.history.record((*readings.system, *readings.business), time.monotonic())
                if self._clients:
                    await self._tell()
                    told_at = self._beat(now, told_at)
                self._failing = False
            except Exception:  # noqa: BLE001 - a defect of one part must not end the page for good
                if not self._failing:
                    _LOG.exception("the status page can't be brought up to date")
                self._failing = True
            await asyncio.sleep(self.options.tick_s)

    async def sections(self) -> Sections:
        """Return the sections, rendered at most a tick ago, however many ask."""
        async with self._rendering:
            now = time.monotonic()
            if self._rendered_at is None or now - self._rendered_at >= self.options.tick_s:
                self._sections = await asyncio.to_thread(lambda: render(self.source.view(), self.history))
                self._rendered_at = now
        return self._sections

    async def join(self, transport: asyncio.Transport | None) -> Client | None:
        """Begin a stream with the present state of all sections.

        Args:
            transport: The client's connection.

        Returns:
            The client, to be given to `leave`; None where there are too many, or the gateway stops.
        """
        # All get what this one begins with: what is told later is then what changed since, for each of them.
        await self._tell()
        self._drop_gone()
        if self._closed or len(self._clients) >= self.options.max_clients:
            return None
        client = Client(transport, self.options.queue)
        client.offer(_hello() + _frames(self._told.items()))
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """Forget a stream."""
        self._clients.discard(client)

    def close(self) -> None:
        """End all streams, and let none begin: the gateway stops, and doesn't wait for them."""
        self._closed = True
        for client in self._clients:
            client.end()

    async def _tell(self) -> None:
        sections = await self.sections()
        changed = [(key, html) for key, html in sections.items() if self._told.get(key) != html]
        self._told = sections
        if changed:
            self._send(_frames(changed))

    def _beat(self, now: float, told_at: float) -> float:
        self._drop_gone()
        if now - told_at < self.options.heartbeat_s:
            return told_at
        self._send(_HEARTBEAT)
        return now

    def _send(self, frame: bytes) -> None:
        for client in list(self._clients):
            if not client.offer(frame):
                self.dropped += 1
                self.leave(client)
                client.cut_off()

    def _drop_gone(self) -> None:
        for client in [each for each in self._clients if each.gone]:
            self.leave(client)
            client.cut_off()


def _hello() -> bytes:
    return f"retry: {_RETRY_MS}\nevent: hello\ndata: {ASSETS.build}\n\n".encode()


def _frames(sections: Iterable[tuple[str, str]]) -> bytes:
    # As JSON an update is one line, whatever is in it.
    return b"".join(
        b"event: section\ndata: " + json.dumps({"id": key, "html": html}).encode() + b"\n\n"
        for key, html in sections
    )
