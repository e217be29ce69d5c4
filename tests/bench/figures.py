"""What repeated measurements say: medians of differences taken in pairs, and how far they can be trusted.

A busy machine makes single batches dearer, never cheaper, and all set-ups of a round alike. So each batch is
compared with the bare application's batch of the same round, and the median over the rounds is what counts.
"""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Ratio", "Spread", "added", "ratio_of_added", "spread"]

RESAMPLES = 400
"""Of the bootstrap."""


@dataclass(frozen=True)
class Spread:
    """A median, and the quartiles around it."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Ratio:
    """A ratio of two medians, and where it lies in nine of ten resamplings of the rounds."""

    value: float
    lower: float
    upper: float


def spread(values: Sequence[float]) -> Spread:
    """Describe values.

    Args:
        values: At least one.

    Returns:
        Their median and quartiles.
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, lower, upper)


def added(costs: Sequence[float], bare: Sequence[float]) -> list[float]:
    """Subtract the bare application's cost, round by round.

    Args:
        costs: Of a set-up, one a round.
        bare: Of the bare application, in the same rounds.

    Returns:
        The differences.
    """
    return [cost - base for cost, base in zip(costs, bare, strict=True)]


def ratio_of_added(added_one: Sequence[float], added_other: Sequence[float]) -> Ratio:
    """Compare what two set-ups add to the bare application.

    Args:
        added_one: Differences of one, one a round.
        added_other: Differences of the other, in the same rounds.

    Returns:
        The ratio of their medians.
    """
    rounds = range(len(added_one))
    generator = random.Random(1)  # noqa: S311 # the same rounds give the same interval

    def resampled() -> float:
        chosen = generator.choices(rounds, k=len(rounds))
        return _ratio([added_one[i] for i in chosen], [added_other[i] for i in chosen])

    ratios = sorted(resampled() for _ in range(RESAMPLES))
    twentieth = RESAMPLES // 20
    return Ratio(_ratio(added_one, added_other), ratios[twentieth], ratios[-twentieth - 1])


def _ratio(one: Sequence[float], other: Sequence[float]) -> float:
    divisor = statistics.median(other)
    return statistics.median(one) / divisor if divisor else float("nan")
