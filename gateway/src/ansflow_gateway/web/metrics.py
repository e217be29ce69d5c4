"""`GET /metrics`."""

import asyncio
from concurrent.futures import Executor
from typing import Final, Protocol

from aiohttp import web


class Page(Protocol):
    """A rendered scrape."""

    @property
    def body(self) -> bytes:
        """The bytes to send."""
        ...

    @property
    def content_type(self) -> str:
        """Its full content type."""
        ...

    @property
    def encoding(self) -> str | None:
        """Its content coding, if any."""
        ...


class Renderer(Protocol):
    """Renders the page in the form that the scraper prefers."""

    def render(self, accept: str, accept_encoding: str) -> Page:
        """Collect and render."""
        ...


RENDERER: Final = web.AppKey("renderer", Renderer)
"""Who renders."""

RENDERING: Final = web.AppKey("rendering", Executor)
"""An executor of a single thread: scrapes are rendered off the event loop, and one after the other."""


async def get_metrics(request: web.Request) -> web.Response:
    """Answer a scrape."""
    page = await asyncio.get_running_loop().run_in_executor(
        request.app[RENDERING],
        request.app[RENDERER].render,
        request.headers.get("Accept", ""),
        request.headers.get("Accept-Encoding", ""),
    )
    headers = {"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
    if page.encoding:
        headers["Content-Encoding"] = page.encoding
    return web.Response(body=page.body, headers=headers)
