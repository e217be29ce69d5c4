"""WebSocket targets: the handshake, then a ping that must be answered.

An intermediary may accept a handshake for a server that hangs; the ping tells. Every endpoint must answer
it: https://datatracker.ietf.org/doc/html/rfc6455#section-5.5.3
"""

import secrets
from typing import Final

import aiohttp

from ansflow_gateway.domain.health import NotHealthError, ServiceHealth

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""Largest message that is taken while the pong is awaited."""

_CLOSE_WAIT: Final = aiohttp.ClientWSTimeout(ws_close=0.5)
"""A server that answered the ping is well, however long it takes to say goodbye."""


async def ask(session: aiohttp.ClientSession, url: str) -> ServiceHealth:
    """Open a WebSocket, ping, await the pong, and close.

    Args:
        session: Client session, which must not follow redirects by itself.
        url: The endpoint, ws or wss.

    Returns:
        Health without checks.

    Raises:
        NotHealthError: The server closed the connection before it answered the ping.
        aiohttp.ClientError: The handshake failed.
        OSError: The connection failed.
    """
    payload = secrets.token_bytes(8)
    async with session.ws_connect(
        url, autoping=False, max_msg_size=MAX_MESSAGE_BYTES, timeout=_CLOSE_WAIT
    ) as websocket:
        await websocket.ping(payload)
        while True:
            message = await websocket.receive()
            match message.type:
                case aiohttp.WSMsgType.PONG if message.data == payload:
                    return ServiceHealth(up=True)
                case aiohttp.WSMsgType.PING:
                    await websocket.pong(message.data)
                case aiohttp.WSMsgType.CLOSE | aiohttp.WSMsgType.CLOSING | aiohttp.WSMsgType.CLOSED:
                    raise NotHealthError(
                        f"expected a pong, not the end of the connection ({websocket.close_code})"
                    )
                case aiohttp.WSMsgType.ERROR:
                    raise NotHealthError(f"expected a pong, not {message.data!r}"[:200])
                case _:
                    continue  # what the service sends to whoever connects; the deadline bounds it
