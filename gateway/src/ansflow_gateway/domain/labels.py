"""Bounded cardinality: how many distinct label sets producers may bring into being."""

from collections.abc import Callable
from typing import Final, TypeVar

OVERFLOW: Final = "__overflow__"
"""Value of each producer-chosen label in the series that takes what exceeds the limit."""

KeyT = TypeVar("KeyT", bound=tuple[str, ...])


class LabelSetLimiter:
    """Admits the first `limit` distinct label sets and sends all later ones to an overflow set.

    What was admitted stays admitted, so a series never changes its meaning. Nothing is lost: totals over all
    series stay exact. One owner calls it.

    Args:
        limit: Most label sets admitted, at least 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._admitted: set[tuple[str, ...]] = set()

    def admit(self, labels: KeyT, overflow: Callable[[KeyT], KeyT]) -> KeyT:
        """Decide under which labels to record.

        Args:
            labels: The whole set of values, in a fixed order.
            overflow: Replaces those values that producers choose by `OVERFLOW`, keeping those of closed sets.

        Returns:
            `labels` themselves, or what `overflow` makes of them.
        """
        if labels in self._admitted:
            return labels
        if len(self._admitted) >= self._limit:
            return overflow(labels)
        self._admitted.add(labels)
        return labels
