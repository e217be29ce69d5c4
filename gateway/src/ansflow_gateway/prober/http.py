"""HTTP targets: a health document is asked for and read."""

import json
from typing import Final

import aiohttp

from ansflow_gateway.domain.health import NotHealthError, ServiceHealth, read_document

MAX_BODY_BYTES: Final = 64 * 1024
"""Largest health document that is read."""


async def ask(session: aiohttp.ClientSession, url: str) -> ServiceHealth:
    """Ask for a health document; redirects aren't followed.

    Args:
        session: Client session.
        url: The health endpoint.

    Returns:
        What the document says.

    Raises:
        NotHealthError: What came is no health document, or is too large.
        aiohttp.ClientError: The exchange failed.
        OSError: The connection failed.
    """
    # Uncompressed, so that the bound on the body is one on memory.
    headers = {"Accept": "application/health+json, application/json;q=0.9", "Accept-Encoding": "identity"}
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise NotHealthError(f"expected at most {MAX_BODY_BYTES} bytes")
        try:
            document = json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            raise NotHealthError(f"expected JSON with HTTP status {response.status}") from error
        return read_document(document, response.status)
