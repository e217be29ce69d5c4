"""Bound instruments by key: a hot path gives a key, and its attribute set is built the first time only."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from opentelemetry.metrics import Counter, Histogram
from opentelemetry.trace import SpanContext
from opentelemetry.util.types import Attributes

from ansflow_instrumentation.recording.bound import BoundCounter, BoundHistogram

__all__ = ["MAX_SERIES", "CounterSeries", "HistogramSeries"]

Key = TypeVar("Key", bound=Hashable)

MAX_SERIES = 2000
"""Keys that are remembered; the SDK's default cardinality limit. Beyond it, a key is looked up each time."""


class HistogramSeries(Generic[Key]):
    """The series of a histogram by key.

    Args:
        histogram: The instrument.
        attributes: Makes the attribute set of a key.
    """

    def __init__(self, histogram: Histogram, attributes: Callable[[Key], Attributes]) -> None:
        self._histogram = histogram
        self._attributes = attributes
        self._by_key: dict[Key, BoundHistogram] = {}

    def record(self, key: Key, value: float, span_context: SpanContext | None = None) -> None:
        """Record a value.

        Args:
            key: Of the series.
            value: In the instrument's unit.
            span_context: Of the span that it was measured in, if that is sampled: for the exemplar.
        """
        series = self._by_key.get(key) or self.of(key)
        series.record(value, span_context)

    def of(self, key: Key) -> BoundHistogram:
        """Give a key's series.

        Args:
            key: Of the series.

        Returns:
            The histogram bound to the key's attributes.
        """
        series = self._by_key.get(key)
        if series is None:
            series = BoundHistogram(self._histogram, self._attributes(key))
            if len(self._by_key) < MAX_SERIES:
                series = self._by_key.setdefault(key, series)
        return series


class CounterSeries(Generic[Key]):
    """The series of a counter by key.

    Args:
        counter: The instrument.
        attributes: Makes the attribute set of a key.
    """

    def __init__(self, counter: Counter, attributes: Callable[[Key], Attributes]) -> None:
        self._counter = counter
        self._attributes = attributes
        self._by_key: dict[Key, BoundCounter] = {}

    def add(self, key: Key, amount: float = 1) -> None:
        """Add to a key's series.

        Args:
            key: Of the series.
            amount: In the instrument's unit, >= 0.
        """
        series = self._by_key.get(key) or self.of(key)
        series.add(amount)

    def of(self, key: Key) -> BoundCounter:
        """Give a key's series.

        Args:
            key: Of the series.

        Returns:
            The counter bound to the key's attributes.
        """
        series = self._by_key.get(key)
        if series is None:
            series = BoundCounter(self._counter, self._attributes(key))
            if len(self._by_key) < MAX_SERIES:
                series = self._by_key.setdefault(key, series)
        return series
