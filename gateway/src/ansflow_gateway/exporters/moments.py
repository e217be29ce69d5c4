"""Times as OTLP has them."""

from typing import Final

_END_S: Final = 18e9
"""In the year 2540, shortly before OTLP's 64 bits of nanoseconds end."""


def unix_nanoseconds(seconds: float) -> int:
    """Convert a time, to the microsecond: a double of today's seconds has no more.

    Args:
        seconds: Since the epoch.

    Returns:
        Nanoseconds since the epoch; a time that OTLP can't carry is made into the nearest that it can.
    """
    return round(min(max(seconds, 0.0), _END_S) * 1e6) * 1000
