"""Points of series: what a series' measurements have come to."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import msgspec


class Exemplar(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One measurement that stands for its bucket.

    Args:
        value: What was measured.
        at: When, in seconds since the epoch.
        trace_id: The trace in which it was made: 16 bytes.
        span_id: The span, likewise: 8 bytes.
    """

    value: float
    at: float
    trace_id: bytes
    span_id: bytes


class HistogramPoint(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A histogram's state.

    Args:
        count: Number of measurements.
        sum: Their sum.
        buckets: Measurements in each bucket, one more than there are bounds, not cumulative.
        exemplars: The latest exemplar of each bucket; None where it has none.
        minimum: The least measurement.
        maximum: The greatest.
    """

    count: int
    sum: float
    buckets: tuple[int, ...]
    exemplars: tuple[Exemplar | None, ...]
    minimum: float
    maximum: float


EMPTY: Final = HistogramPoint(0, 0.0, (), (), 0.0, 0.0)
"""A histogram without measurements, of any bounds."""


def with_measurement(
    before: HistogramPoint,
    bounds: Sequence[float],
    value: float,
    at: float,
    exemplar: tuple[bytes, bytes] | None,
) -> HistogramPoint:
    """Add a measurement to a histogram.

    Args:
        before: Its point; buckets of other bounds are given up.
        bounds: The upper bounds of all buckets but the last, ascending.
        value: The measurement.
        at: When it was made, in seconds since the epoch.
        exemplar: Ids of the trace and the span in which it was made.

    Returns:
        The new point.
    """
    size = len(bounds) + 1
    if len(before.buckets) != size:
        before = rebucketed(before, size)
    place = bisect_left(bounds, value)
    buckets = list(before.buckets)
    buckets[place] += 1
    exemplars = before.exemplars
    if exemplar:
        replaced = list(exemplars)
        replaced[place] = Exemplar(value, at, *exemplar)
        exemplars = tuple(replaced)
    return HistogramPoint(
        before.count + 1,
        before.sum + value,
        tuple(buckets),
        exemplars,
        min(before.minimum, value) if before.count else value,
        max(before.maximum, value) if before.count else value,
    )


def rebucketed(before: HistogramPoint, size: int) -> HistogramPoint:
    """Give a histogram other bounds: all counts as the last bucket's, as their places aren't known.

    Args:
        before: Its point.
        size: Number of the new buckets.

    Returns:
        The new point.
    """
    return HistogramPoint(
        before.count,
        before.sum,
        (0,) * (size - 1) + (before.count,),
        (None,) * size,
        before.minimum,
        before.maximum,
    )
