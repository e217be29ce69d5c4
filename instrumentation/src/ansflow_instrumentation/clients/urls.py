"""What telemetry says of the URL of an outgoing call: its server, and the whole of it without secrets."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from ansflow_instrumentation.urls import REDACTED, redacted_query

__all__ = ["Server", "redacted", "server_of"]

MAX_SERVERS = 2000
"""Servers that are remembered."""

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_ORIGIN = re.compile(r"[^:/?#]+://[^/?#]*")
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")


class Server(NamedTuple):
    """Who is called.

    Attributes:
        address: Host, as in the URL.
        port: TCP port, the scheme's where the URL has none.
    """

    address: str | None
    port: int | None


def server_of(url: str) -> Server:
    """Tell who a URL leads to.

    Args:
        url: An absolute one.

    Returns:
        The server; of a URL that cannot be read, nothing.
    """
    origin = _ORIGIN.match(url)
    return _server(origin[0]) if origin else Server(None, None)


@lru_cache(maxsize=MAX_SERVERS)
def _server(origin: str) -> Server:
    try:
        parts = urlsplit(origin)
        return Server(parts.hostname, parts.port or PORTS.get(parts.scheme.lower()))
    except ValueError:
        return Server(None, None)


def redacted(url: str) -> str:
    """Leave credentials, secrets in the query, and the fragment out of a URL.

    Args:
        url: As it is called.

    Returns:
        As it may be seen. Source: `url.full` in
        https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
    """
    if "?" not in url and "@" not in url and "#" not in url and ";" not in url:
        return url
    place, mark, query = url.partition("#")[0].partition("?")
    if "@" in place:
        place = _CREDENTIALS.sub(f"{REDACTED}:{REDACTED}@", place)
    place, semicolon, parameters = place.partition(";")  # `;jsessionid=…`
    return f"{place}{semicolon}{redacted_query(parameters)}{mark}{redacted_query(query)}"
