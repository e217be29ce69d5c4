"""An answer before it is bytes: what aiohttp and the slim path both send."""

from typing import Final

import msgspec
from aiohttp import web

JSON: Final = "application/json; charset=utf-8"


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a request is answered.

    Args:
        status: The status.
        body: The body.
        content_type: The body's type.
        headers: Further headers.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> web.Response:
        """Make aiohttp's response of it."""
        return web.Response(
            body=self.body,
            status=self.status,
            headers={"Content-Type": self.content_type, **dict(self.headers)},
        )
