"""Who may do what: bearer tokens with scopes.

Health is open. Webhooks verify their senders themselves. Everything else needs a token that is meant for it.

Sources: https://www.rfc-editor.org/rfc/rfc6750, https://www.rfc-editor.org/rfc/rfc7617
"""

import base64
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ansflow_gateway.domain.rejection import Reason, Rejection
from ansflow_gateway.web import problem
from ansflow_gateway.web.tokens import ProducerToken, Scope, find

OPEN_PREFIXES: Final = ("/health", "/webhooks")
"""Paths below them need no token. Orchestrators probe health, which tells nothing of the platform."""

SCOPES: Final = MappingProxyType({"/v1/events": Scope.EVENTS_WRITE, "/metrics": Scope.METRICS_READ})
"""Scopes by path; elsewhere, reading needs `STATUS_READ` and all else `EVENTS_WRITE`."""

_BEARER: Final = 'Bearer realm="ansflow-gateway"'
_BASIC: Final = 'Basic realm="ansflow-gateway"'


def require_token(
    tokens: Callable[[], Sequence[ProducerToken]], rejected: Callable[[web.Request, Rejection], None]
) -> Middleware:
    """Make the middleware that asks for a token.

    A browser can't send a bearer token by itself. What only shows therefore takes the token as the password
    of Basic authentication too, whatever the user's name, and asks for it so. That goes for GET alone: a
    page elsewhere can make a browser post with the credentials it knows.

    Args:
        tokens: Gives the tokens that are valid now.
        rejected: Counts a refusal.

    Returns:
        The middleware. It answers 401 without a valid token, 403 with one that isn't meant for the path.
    """

    @web.middleware
    async def authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_open(request.path):
            return await handler(request)
        reads = request.method in {"GET", "HEAD"}
        scope = SCOPES.get(request.path, Scope.STATUS_READ if reads else Scope.EVENTS_WRITE)
        basic = reads and scope in {Scope.STATUS_READ, Scope.METRICS_READ}
        scheme, given = _credentials(request, basic)
        token = find(given, tokens()) if given else None
        if token is not None and scope in token.scopes:
            return await handler(request)
        if token is not None:
            got = f"one for {', '.join(sorted(token.scopes))}"
            forbidden = Rejection(Reason.FORBIDDEN, "authorization", f"a token for {scope}", got)
            rejected(request, forbidden)
            return problem.response(
                forbidden,
                {"WWW-Authenticate": f'{_BEARER}, error="insufficient_scope", scope="{scope}"'},
            )
        got = f"a {scheme[:20]} credential that isn't valid" if scheme else "no credentials"
        unknown = Rejection(Reason.UNAUTHORIZED, "authorization", "Bearer and a token of the gateway's", got)
        rejected(request, unknown)
        return problem.response(
            unknown,
            {"WWW-Authenticate": f"{_BASIC}, {_BEARER}" if basic else _BEARER},
        )

    return authorize


class Senders:
    """Tells who may send events, as the middleware would.

    Args:
        tokens: Gives the tokens that are valid now; None where nobody is asked for one.
    """

    def __init__(self, tokens: Callable[[], Sequence[ProducerToken]] | None) -> None:
        self._tokens = tokens

    def permits(self, header: str) -> bool:
        """Look at a request's `Authorization` header, empty where there is none."""
        if self._tokens is None:
            return True
        given = _bearer(header)
        token = find(given, self._tokens()) if given else None
        return token is not None and Scope.EVENTS_WRITE in token.scopes


SENDERS: Final = web.AppKey("senders", Senders)
"""Who may send events."""


def _is_open(path: str) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in OPEN_PREFIXES)


def _credentials(request: web.Request, basic: bool) -> tuple[str, str]:
    """Give the scheme and the token that a request shows; the token is empty where it shows none."""
    header = request.headers.get("Authorization", "")
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "bearer":
        return scheme, _bearer(header)
    if scheme.lower() == "basic" and basic:
        try:
            return scheme, base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return scheme, ""
    return scheme, ""


def _bearer(header: str) -> str:
    """Give the token of an `Authorization` header; empty where it shows none."""
    scheme, _, given = header.partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""
