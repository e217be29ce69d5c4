"""W3C trace context, as events carry it.

Sources: https://www.w3.org/TR/trace-context/#traceparent-header,
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
"""

import re
from typing import Final

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def traceparent(given: object) -> str | None:
    """Take a `traceparent`, if it is one.

    Args:
        given: Whatever an event has under that name.

    Returns:
        It, where it can be used; a malformed one is as none, as the recommendation has it.
    """
    return given if isinstance(given, str) and _TRACEPARENT.fullmatch(given) else None
