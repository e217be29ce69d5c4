"""What isn't HTTP: told as a problem document, and counted.

aiohttp would tell it as plain text, and log each as an error with its traceback, though anybody can send it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ansflow_gateway.domain.rejection import Reason, Rejection, bound
from ansflow_gateway.web import problem


class Connection(web.RequestHandler):
    """aiohttp's side of a connection.

    Args:
        server: Whose connection it is.
        refused: Counts what isn't HTTP.
        options: As of `aiohttp.web.AppRunner`.
    """

    __slots__ = ("_refused",)

    def __init__(self, server: web.Server, refused: Callable[[Rejection], None], **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._refused = refused

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what can't be parsed, as the last request of the connection."""
        if not isinstance(exc, HttpProcessingError) or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        got = bound(" ".join((message or type(exc).__name__).split()))
        rejection = Rejection(Reason.MALFORMED_REQUEST, "request", "HTTP/1.1", got)
        self._refused(rejection)
        response = problem.response(rejection)
        response.force_close()
        return response
