"""Checks of services that answer HTTP."""

import inspect
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansflow_instrumentation.health.checks import Check, CheckFailedError

if TYPE_CHECKING:
    from httpx import AsyncClient, Client

__all__ = ["http_check"]

_ACCEPT = {"Accept": "application/health+json, application/json;q=0.9, */*;q=0.8"}


def http_check(
    url: str,
    *,
    client: "AsyncClient | Client | None" = None,
    timeout_s: float = 2.0,
    name: str = "http",
    critical: bool = False,
    ready: bool = False,
) -> Check:
    """Check a service by a GET request: an answer with a status below 400 passes.

    Ask a peer whether it lives (`/health/live`), not how its own peers are: two that ask each other would
    never end.

    Args:
        url: What is asked for; with an httpx client of a `base_url` a path is enough.
        client: An httpx client, sync or async; None for the standard library's, in a thread.
        timeout_s: Seconds without an answer after which the thread is given up, where there is no client that
            says; the health endpoint's own deadline holds in any case.
        name: As for `Check`; the peer's, best.
        critical: As for `Check`.
        ready: As for `Check`.

    Returns:
        The check.

    Raises:
        ValueError: Without a client, `url` is no http(s) URL, or has credentials, which belong to a client.
    """
    asked: Any = client

    async def ask_async() -> None:
        async with asked.stream("GET", url, headers=_ACCEPT) as response:
            _judge(response.status_code)

    def ask() -> None:
        with asked.stream("GET", url, headers=_ACCEPT) as response:
            _judge(response.status_code)

    def ask_by_urllib() -> None:
        request = urllib.request.Request(url, headers=_ACCEPT)  # noqa: S310 # http(s), as checked below
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310 # as above
                _judge(response.status)
        except urllib.error.HTTPError as error:
            with error:
                _judge(error.code)
        except urllib.error.URLError as error:
            # What it wraps says more: that the connection was refused, say.
            raise (error.reason if isinstance(error.reason, Exception) else error) from None

    if client is not None:
        call = ask_async if inspect.iscoroutinefunction(asked.get) else ask
        return Check(name, call, critical, ready)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        # The value is not repeated: it may hold a password.
        raise ValueError("url: expected an http(s) URL without credentials, or an httpx client beside it")
    return Check(name, ask_by_urllib, critical, ready)


def _judge(status: int) -> None:
    if status >= 400:
        raise CheckFailedError(f"HTTP {status}")
