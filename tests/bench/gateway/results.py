"""What the gateway's benchmark has measured: tables of figures, and targets that were met or not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..figures import spread

__all__ = ["Section", "Target", "quantile", "shown"]


@dataclass(frozen=True)
class Target:
    """One thing that is to be shown.

    Attributes:
        title: What is compared with what.
        limit: The bound, with its unit, as a person reads it.
        measured: What was measured, with its spread.
        met: Whether it is within the bound, and everything that was sent was counted.
    """

    title: str
    limit: str
    measured: str
    met: bool


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        title: Heading.
        note: How it is measured.
        heads: Of the table's columns.
        rows: The table.
        targets: What it shows.
        wrong: What wasn't counted as it was sent; a sentence each.
    """

    title: str
    note: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    targets: Sequence[Target] = ()
    wrong: Sequence[str] = field(default=())


def shown(values: Sequence[float], digits: int = 1) -> str:
    """Write a median, and the quartiles around it."""
    of = spread(values)
    return f"{of.median:,.{digits}f} ({of.lower:,.{digits}f} to {of.upper:,.{digits}f})"


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that this share of the values doesn't exceed.

    Args:
        values: At least one.
        share: From 0 to 1.

    Returns:
        One of the values.
    """
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
