"""The page's routes."""

import contextlib
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from aiohttp import web

from ansflow_gateway.web import index, problem
from ansflow_gateway.web.status.assets import ASSETS
from ansflow_gateway.web.status.events import Live
from ansflow_gateway.web.status.page import PageInfo, render_page

LIVE: Final = web.AppKey("live", Live)
"""Who renders and tells."""

PAGE: Final = web.AppKey("page", PageInfo)
"""What of the page stays the same."""

_SECURE: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Nothing inline, nothing from elsewhere: what a producer smuggles in is dead, should it come through.
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)
_FRESH: Final = MappingProxyType({"Cache-Control": "no-store", "Vary": "Accept"})
_FOREVER: Final = MappingProxyType({"Cache-Control": "private, max-age=31536000, immutable"})


async def get_root(request: web.Request) -> web.Response:
    """Answer with the page to who prefers HTML, as browsers do, and with the list of endpoints to others."""
    if not prefers_html(request.headers.get("Accept", "")):
        response = await index.get_index(request)
        response.headers["Vary"] = "Accept"
        return response
    sections = await request.app[LIVE].sections()
    return web.Response(
        text=render_page(request.app[PAGE], sections),
        content_type="text/html",
        charset="utf-8",
        headers={**_SECURE, **_FRESH},
    )


async def get_events(request: web.Request) -> web.StreamResponse:
    """Answer with a stream of what changes, until the client goes or the gateway stops; none to HEAD."""
    headers = {
        **_SECURE,
        **_FRESH,
        "Content-Type": "text/event-stream",
        "X-Accel-Buffering": "no",  # nginx would keep updates back
    }
    if request.method == "HEAD":  # who asks for no body waits for the answer's end
        return web.Response(headers=headers)
    live = request.app[LIVE]
    client = await live.join(request.transport)
    if client is None:
        return problem.plain(
            HTTPStatus.SERVICE_UNAVAILABLE, "as many status pages are open as may be", {"Retry-After": "10"}
        )
    response = web.StreamResponse(headers=headers)
    try:
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            async for frame in client.frames():
                await response.write(frame)
    finally:
        live.leave(client)
    return response


async def get_asset(request: web.Request) -> web.Response:
    """Answer with one of the page's own files."""
    asset = ASSETS.served.get(request.path)
    if asset is None:
        raise web.HTTPNotFound
    return web.Response(
        body=asset.body, content_type=asset.content_type, charset="utf-8", headers={**_SECURE, **_FOREVER}
    )


def routes() -> list[web.RouteDef]:
    """List the routes.

    Returns:
        The page, its updates and its files.
    """
    return [
        web.get("/", get_root),
        web.get("/status/events", get_events),
        web.get("/static/{name}", get_asset),
    ]


def prefers_html(accept: str) -> bool:
    """Tell whether a client asks for HTML by name, and doesn't like JSON better.

    Args:
        accept: Value of its `Accept` header.

    Returns:
        Whether it is to get HTML. `*/*`, as programs send it, doesn't name it.
    """
    weights: dict[str, float] = {}
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            weights[media_type] = float(weight)
        except ValueError:
            weights[media_type] = 0.0
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= weights.get("application/json", 0.0)
