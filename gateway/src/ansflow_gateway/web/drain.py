"""Letting requests under way finish before the end.

aiohttp's own shutdown drops what arrives from its first moment on, so a body that is still on its way would
never be whole. Draining therefore comes before it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler


class Drain:
    """Counts the requests under way, and waits for them.

    Its methods belong to the event loop's thread.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._at_start: list[Callable[[], None]] = []

    def at_start(self, call: Callable[[], None]) -> None:
        """Have something called when draining begins: streams, which have no end of their own, end then."""
        self._at_start.append(call)

    @property
    def draining(self) -> bool:
        """Whether connections are to be closed after their present response."""
        return self._draining

    @property
    def under_way(self) -> int:
        """Requests under way."""
        return self._under_way

    def enter(self) -> None:
        """Note that a request is under way."""
        self._under_way += 1
        self._idle.clear()

    def leave(self) -> None:
        """Note that a request is answered, or will never be."""
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()

    async def finish(self, deadline_s: float) -> int:
        """Wait until no request is under way; connections are closed after their present response.

        Args:
            deadline_s: Longest wait, in seconds.

        Returns:
            Number of requests that are still under way.
        """
        self._draining = True
        for call in self._at_start:
            call()
        try:
            async with asyncio.timeout(deadline_s):
                await self._idle.wait()
        except TimeoutError:
            return self._under_way
        return 0

    async def pass_through(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request, counted."""
        self.enter()
        try:
            response = await handler(request)
        finally:
            self.leave()
        if self._draining:
            response.force_close()
        return response


DRAIN: Final = web.AppKey("drain", Drain)
"""Who knows the requests under way."""


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request as one that the end waits for."""
    return await request.app[DRAIN].pass_through(request, handler)
