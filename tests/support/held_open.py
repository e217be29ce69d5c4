"""A TCP proxy that passes on what a server says, and keeps from its clients that the server has hung up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_CHUNK = 65_536


@dataclass
class HeldOpen:
    """A running proxy.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        hung_up: Connections that the server has ended, and the client doesn't know.
    """

    port: int = 0
    hung_up: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_hung_up(self, connections: int) -> None:
        """Wait until the server has ended so many connections, and its last words were passed on."""
        while self.hung_up < connections:
            self._changed.clear()
            await self._changed.wait()

    async def carry(self, client: asyncio.StreamReader, back: asyncio.StreamWriter, server_port: int) -> None:
        """Carry one connection until the client ends it."""
        answers, server = await asyncio.open_connection("127.0.0.1", server_port)
        answering = asyncio.create_task(self._answer(answers, back))
        with contextlib.suppress(OSError):
            while data := await client.read(_CHUNK):
                server.write(data)
        answering.cancel()
        server.close()
        back.close()

    async def _answer(self, answers: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await answers.read(_CHUNK):
                back.write(data)
            await back.drain()
        self.hung_up += 1
        self._changed.set()


@contextlib.asynccontextmanager
async def held_open(server_port: int) -> AsyncIterator[HeldOpen]:
    """Run the proxy until the block ends.

    Args:
        server_port: Where the server listens, on 127.0.0.1.
    """
    proxy = HeldOpen()
    listener = await asyncio.start_server(
        lambda client, back: proxy.carry(client, back, server_port), "127.0.0.1", 0
    )
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
