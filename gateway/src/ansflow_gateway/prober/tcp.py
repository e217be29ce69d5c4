"""TCP targets: the connection, and nothing more.

Whether a server speaks first, and what it wants to hear, is its protocol's affair: one that accepts the
connection and then is silent, or closes it at once, is there.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

import aiohttp

from ansflow_gateway.domain.health import ServiceHealth


async def ask(session: aiohttp.ClientSession, url: str) -> ServiceHealth:
    """Connect, and close.

    Args:
        session: Not used; all kinds of probe are asked alike.
        url: `tcp://host:port`.

    Returns:
        Health without checks.

    Raises:
        OSError: There is no connection.
    """
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.close()
    with contextlib.suppress(OSError):  # the server was faster
        await writer.wait_closed()
    return ServiceHealth(up=True)
