"""What telemetry says of the URL of an outgoing call: its server, and the whole of it without secrets."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["Server", "redacted", "server_of"]

REDACTED = "REDACTED"
"""Stands for what is left out.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span, `url.full`
"""

MAX_SERVERS = 2000
"""Servers that are remembered."""

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_ORIGIN = re.compile(r"[^:/?#]+://[^/?#]*")
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")
_SECRET = re.compile(
    # Names that say what they hold, alone or as a part of a longer one; and short ones, alone.
    r"([?&;](?:[^=&;]*(?:token|secret|passw|api[-_]?key|access[-_]?key|signature|credential|session)[^=&;]*"
    r"|sig|key|code|auth|authorization|pwd|pass|jwt|assertion)=)[^&;]*",
    re.IGNORECASE,
)


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
        As it may be seen.
    """
    if "?" not in url and "@" not in url and "#" not in url:
        return url
    url = url.partition("#")[0]
    if "@" in url:
        url = _CREDENTIALS.sub(f"{REDACTED}:{REDACTED}@", url, count=1)
    return _SECRET.sub(rf"\1{REDACTED}", url)
