"""`Expect`: what a client wants to hear before it sends the body.

Source: https://www.rfc-editor.org/rfc/rfc9110#name-expect
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, web

from ansflow_gateway.web import problem

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Tell a client that it may go on, or that what it expects can't be met.

    Args:
        request: A request with `Expect`; its body hasn't been read.

    Returns:
        None where it is to be handled; else the answer to it, which aiohttp's own would give as plain text.
    """
    if request.version < HttpVersion11:
        return None  # such clients wait for nothing
    if request.headers["Expect"].lower() != "100-continue":
        return problem.plain(
            HTTPStatus.EXPECTATION_FAILED, "expect: expected 100-continue, or no such header"
        )
    await request.writer.write(_CONTINUE)
    request.writer.output_size = 0  # the answer proper hasn't begun
    return None


def expecting(routes: Iterable[web.AbstractRouteDef]) -> list[web.AbstractRouteDef]:
    """Have routes answer to expectations.

    Args:
        routes: Routes of methods.

    Returns:
        The same, each with `expect` before its handler.
    """
    return [
        web.RouteDef(route.method, route.path, route.handler, {**route.kwargs, "expect_handler": expect})
        if isinstance(route, web.RouteDef)
        else route
        for route in routes
    ]
