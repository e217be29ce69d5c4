"""A connection to a gateway that sends bytes as it is told, and requests for it to send."""

import asyncio
import functools
import inspect
import json
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from support.gateway import BATCH, STRUCTURED, Gateway, run_gateway, user_activity


@dataclass
class Reply:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Wire:
    """A connection to a gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *pieces: bytes) -> None:
        """Send bytes, each piece by itself."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0.001)

    async def reply(self) -> Reply:
        """Read one answer."""
        async with asyncio.timeout(30):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            start, *fields = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            assert len(headers) == len(fields)
            body = await self.reader.readexactly(int(headers["content-length"]))
        decoded = json.loads(body) if "json" in headers["content-type"] else body
        return Reply(int(start.split()[1]), headers, decoded)

    async def ended(self) -> bool:
        """Wait until the gateway closes the connection; whether it did so without a further word."""
        async with asyncio.timeout(30):
            return await self.reader.read() == b""


@dataclass
class Stage:
    """What a test plays on: gateways, and connections to them, all of which end with it."""

    stack: AsyncExitStack

    async def gateway(self, **flags: str) -> Gateway:
        """Start a gateway."""
        return await run_gateway(self.stack, None, **flags)

    async def connect(self, gateway: Gateway) -> Wire:
        """Connect to a gateway."""
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self.stack.callback(writer.close)
        return Wire(reader, writer)


def on_both_loops(story: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine that takes a `stage`: on asyncio's loop, and on uvloop, the gateway's own.

    Their transports differ in how they are handed to another protocol.
    """

    @functools.wraps(story)
    def test(*, loop_factory: Callable[[], asyncio.AbstractEventLoop], **fixtures: object) -> None:
        async def run() -> None:
            async with AsyncExitStack() as stack:
                await story(stage=Stage(stack), **fixtures)

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run())

    signature = inspect.signature(story)
    own = [each for each in signature.parameters.values() if each.name != "stage"]
    loop = inspect.Parameter("loop_factory", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    del test.__wrapped__  # or pytest would look through to the coroutine
    test.__signature__ = inspect.Signature([loop, *own])  # type: ignore[attr-defined]
    loops = [asyncio.new_event_loop, uvloop.new_event_loop]
    parametrized: Callable[..., None] = pytest.mark.parametrize(
        "loop_factory", loops, ids=["asyncio", "uvloop"]
    )(test)
    return parametrized


def post(body: object, *fields: str, content_type: str = STRUCTURED) -> bytes:
    """Make a request; a body that isn't bytes is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (
        "POST /v1/events HTTP/1.1",
        "Host: gateway",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(data)}",
        *fields,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def batch(events: list[object], *fields: str) -> bytes:
    """Make a request with a batch."""
    return post(events, *fields, content_type=BATCH)


def activities(number: int) -> list[object]:
    """Make so many events."""
    return [user_activity() for _ in range(number)]
