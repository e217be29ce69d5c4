"""How numbers and times are written: short, aligned, the same everywhere."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from ansflow_gateway.web.status.markup import Markup, fill
from ansflow_gateway.web.status.source import Unit

NOTHING: Final = "\u2013"
"""Stands for a value that isn't known."""

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_THIN: Final = "\u202f"  # narrow space that doesn't break, between number and unit


def count(value: float) -> str:
    """Write a number: whole where it is large, thousands grouped, abbreviated from a million on."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:.2f}{_THIN}{unit}"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(value: float) -> str:
    """Write a share as a percentage."""
    return f"{value * 100:.1f}{_THIN}%"


def availability(value: float) -> str:
    """Write a share of which the third digit counts, never rounded up to all."""
    return f"{min(value * 100, 100.0) // 0.001 / 1000:.3f}{_THIN}%" if value < 1 else f"100{_THIN}%"


def size(value: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f}{_THIN}B" if unit == "B" else f"{value:.1f}{_THIN}{unit}"
        value /= 1024
    return f"{value:,.1f}{_THIN}TiB"


def duration(value: float) -> str:
    """Write a time in its two largest units.

    Args:
        value: Seconds.

    Returns:
        Such as `850 ms`, `12.5 s`, `3 min 20 s`, `2 h 05 min`, `4 d 03 h`.
    """
    if value < 0.9995:
        return f"{value * 1000:.0f}{_THIN}ms"
    if value < _MINUTE - 0.05:
        return f"{value:.1f}{_THIN}s"
    whole = round(value)
    if whole < _HOUR:
        return f"{whole // _MINUTE}{_THIN}min {whole % _MINUTE:02d}{_THIN}s"
    if whole < _DAY:
        return f"{whole // _HOUR}{_THIN}h {whole % _HOUR // _MINUTE:02d}{_THIN}min"
    return f"{whole // _DAY}{_THIN}d {whole % _DAY // _HOUR:02d}{_THIN}h"


def moment(at: float) -> Markup:
    """Write a time of the day with its date, in UTC.

    Args:
        at: Seconds since the epoch; producers choose it, so that it may lie anywhere.

    Returns:
        The HTML.
    """
    try:
        when = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return Markup(NOTHING)
    return fill(
        '<time datetime="{iso}">{date} {clock}</time>',
        iso=when.isoformat(timespec="seconds").replace("+00:00", "Z"),
        date=f"{when:%d %b}",
        clock=f"{when:%H:%M:%S}",
    )


_WRITE: Final[Mapping[Unit, Callable[[float], str]]] = {
    Unit.COUNT: count,
    Unit.RATIO: ratio,
    Unit.SECONDS: duration,
    Unit.BYTES: size,
}


def amount(value: float | None, unit: Unit) -> str:
    """Write a value in its unit.

    Args:
        value: The value; None where it isn't known.
        unit: Its unit.

    Returns:
        The text.
    """
    return NOTHING if value is None else _WRITE[unit](value)
