"""URLs that users set: which can be used, and how they are shown."""

import re
from typing import Final
from urllib.parse import urlsplit

MASK: Final = "***"
"""Stands for a secret wherever settings are shown."""


_WEB: Final = frozenset({"http", "https"})

PROBE_SCHEMES: Final = _WEB | {"ws", "wss", "tcp"}
"""Schemes of URLs that can be probed; `tcp://host:port` is a connection and nothing more."""


def is_http(text: str) -> bool:
    """Tell whether a text is an http or https URL with a host.

    Args:
        text: Any text.

    Returns:
        Whether it is.
    """
    return _is_url(text, _WEB)


def is_probe_url(text: str) -> bool:
    """Tell whether a text is a URL that the health prober can ask.

    Args:
        text: Any text.

    Returns:
        Whether it is an http, https, ws or wss URL with a host, or `tcp://host:port` and nothing after it.
    """
    if not _is_url(text, PROBE_SCHEMES):
        return False
    parts = urlsplit(text)
    if parts.scheme != "tcp":
        return True
    nothing_else = not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    return parts.port is not None and nothing_else


def _is_url(text: str, schemes: frozenset[str]) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in schemes
            and bool(parts.hostname)
            and parts.port != 0
            and not re.search(r"\s", text)
        )
    except ValueError:
        return False


def masked(url: str) -> str:
    """Make the form of a URL that logs and health documents may show.

    Args:
        url: A URL.

    Returns:
        The URL, its user's name and password (either may be a token) masked.
    """
    userinfo, at, _ = urlsplit(url).netloc.rpartition("@")
    return url.replace(userinfo + at, MASK + at, 1) if at else url
