"""Times as RFC 3339 writes them.

Source: https://www.rfc-editor.org/rfc/rfc3339#section-5.6
"""

import re
from datetime import datetime
from typing import Final

EXPECTED: Final = "a time of RFC 3339, such as 2026-01-31T12:00:00Z"
"""What refusals of a time say."""

LIMIT: Final = 64
"""Longest text that is taken for a time, in characters."""

# Python's own parser also takes week dates, a comma, 24:00 and no zone at all.
_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


def seconds(text: str) -> float:
    """Read a time.

    Args:
        text: The time, in at most `LIMIT` characters; digits beyond microseconds are cut off.

    Returns:
        Seconds since the epoch.

    Raises:
        ValueError: It isn't one, or there is no such time. A leap second is none, since the epoch's seconds
            have no room for it.
    """
    if len(text) > LIMIT or not _TIME.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper()).timestamp()
