"""URLs that users set: which can be used, and how they are shown."""

import re
from typing import Final
from urllib.parse import urlsplit

MASK: Final = "***"
"""Stands for a secret wherever settings are shown."""


def is_http(text: str) -> bool:
    """Tell whether a text is an http or https URL with a host.

    Args:
        text: Any text.

    Returns:
        Whether it is.
    """
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in {"http", "https"}
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
