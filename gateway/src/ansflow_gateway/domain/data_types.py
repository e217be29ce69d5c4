"""Types of the members of AnsFlow's events, with their limits.

They carry all that JSON Schema, msgspec's decoder and the strict reader need to know.
"""

from typing import Annotated, Final

from msgspec import Meta

from ansflow_gateway.domain import rfc3339
from ansflow_gateway.domain.fields import LABEL_LIMIT

MAX_DURATION_S: Final = 1e9
"""Longest duration taken, about 31 years: a sum of a billion of them is still exact enough, and finite."""

MAX_BYTES: Final = 1e18
"""Most bytes taken at once: an exabyte."""

MAX_COUNT: Final = 1_000_000_000
"""Most things counted by one event."""

MAX_ATTEMPT: Final = 1_000_000
"""Highest attempt of a run."""

CLOSE_CODES_LIMIT: Final = 64
"""Most close codes in one event."""

URL_LIMIT: Final = 2048
"""Longest URL, in characters."""

CLOSE_CODE: Final = "^[1-4][0-9]{3}$"
"""A WebSocket close code as text (RFC 6455, 7.4)."""

_NO_CONTROLS: Final = r"[^\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]*$"

# The patterns are for the schemas alone: readers test a whole body, or one text, by faster means.
Text = Annotated[
    str,
    Meta(min_length=1, max_length=LABEL_LIMIT, extra_json_schema={"pattern": "^" + _NO_CONTROLS}),
]
Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=URL_LIMIT,
        extra_json_schema={"pattern": "^https?://" + _NO_CONTROLS, "format": "uri"},
    ),
]
Time = Annotated[str, Meta(min_length=1, max_length=rfc3339.LIMIT, extra_json_schema={"format": "date-time"})]
Seconds = Annotated[float, Meta(ge=0, le=MAX_DURATION_S)]
Bytes = Annotated[float, Meta(ge=0, le=MAX_BYTES)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Attempt = Annotated[int, Meta(ge=1, le=MAX_ATTEMPT)]
Code = Annotated[str, Meta(pattern=CLOSE_CODE)]
Codes = Annotated[dict[Code, Count], Meta(max_length=CLOSE_CODES_LIMIT)]


def is_http(url: str) -> bool:
    """Tell whether a URL has a scheme that a browser may be sent to: no `javascript:`.

    Args:
        url: Any text.

    Returns:
        Whether it is `http` or `https`.
    """
    return url.startswith(("http://", "https://"))
