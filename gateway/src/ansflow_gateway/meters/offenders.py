"""Which label sets were turned away most, in bounded memory.

Source: A. Metwally, D. Agrawal, A. El Abbadi, "Efficient computation of frequent and top-k elements in data
streams" (Space-Saving), ICDT 2005.
"""

from collections.abc import Sequence
from typing import Final

CAPACITY: Final = 64
"""Label sets counted at once: any that makes more than 1/64 of all is among them."""


class Offenders:
    """Counts what exceeds a limit: all of it exactly, the most frequent of it nearly."""

    def __init__(self) -> None:
        self.total = 0
        self._counts: dict[tuple[str, ...], int] = {}

    def seen(self, labels: tuple[str, ...]) -> None:
        """Count one."""
        self.total += 1
        counts = self._counts
        if labels in counts or len(counts) < CAPACITY:
            counts[labels] = counts.get(labels, 0) + 1
            return
        least = min(counts, key=counts.__getitem__)
        counts[labels] = counts.pop(least) + 1

    def top(self, most: int) -> Sequence[tuple[tuple[str, ...], int]]:
        """Return the most frequent first, with upper bounds of their counts; from any thread."""
        return sorted(dict(self._counts).items(), key=lambda each: -each[1])[:most]
