"""Bearer tokens.

Source: https://www.rfc-editor.org/rfc/rfc6750
"""

import hmac
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ansflow_gateway.domain.rejection import Reason, Rejection
from ansflow_gateway.web import problem

OPEN_PREFIX: Final = "/health"
"""Paths below it need no token: orchestrators probe them, and they tell nothing of the platform."""


def require_token(token: str, rejected: Callable[[web.Request, Reason], None]) -> Middleware:
    """Make the middleware that asks for a bearer token on everything but health.

    Args:
        token: The one token that is valid.
        rejected: Counts a refusal.

    Returns:
        The middleware.
    """
    valid = token.encode()

    @web.middleware
    async def authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        # compare_digest takes the same time wherever the two differ.
        right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), valid)
        open_to_all = request.path == OPEN_PREFIX or request.path.startswith(OPEN_PREFIX + "/")
        if open_to_all or (scheme.lower() == "bearer" and right):
            return await handler(request)
        rejected(request, Reason.UNAUTHORIZED)
        got = "no credentials" if not given else f"a {scheme[:20]} credential that isn't valid"
        rejection = Rejection(Reason.UNAUTHORIZED, "authorization", "Bearer and the gateway's token", got)
        return problem.response(rejection, {"WWW-Authenticate": 'Bearer realm="ansflow-gateway"'})

    return authorize
