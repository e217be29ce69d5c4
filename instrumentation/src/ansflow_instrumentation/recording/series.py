"""Bound instruments by key: a hot path gives a key, and its attribute set is built the first time only."""

import functools
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from opentelemetry.metrics import Counter, Histogram
from opentelemetry.trace import SpanContext
from opentelemetry.util.types import Attributes

from ansflow_instrumentation.recording.bound import BoundCounter, BoundHistogram

__all__ = ["MAX_SERIES", "CounterSeries", "HistogramSeries"]

Key = TypeVar("Key", bound=Hashable)
Bound = TypeVar("Bound", BoundHistogram, BoundCounter)

MAX_SERIES = 2000
"""Keys that are remembered; the SDK's default cardinality limit. Beyond it, a key is looked up each time."""


class _SeriesByKey(Generic[Key, Bound]):
    """The series of an instrument by key.

    Args:
        bind: Binds the instrument to an attribute set.
        attributes: Makes the attribute set of a key.
    """

    def __init__(self, bind: Callable[[Attributes], Bound], attributes: Callable[[Key], Attributes]) -> None:
        self._bind: Callable[[Attributes], Bound] = bind
        self._attributes = attributes
        self._by_key: dict[Key, Bound] = {}

    def of(self, key: Key) -> Bound:
        """Give a key's series.

        Args:
            key: Of the series.

        Returns:
            The instrument bound to the key's attributes.
        """
        series = self._by_key.get(key)
        if series is None:
            series = self._bind(self._attributes(key))
            if len(self._by_key) < MAX_SERIES:
                series = self._by_key.setdefault(key, series)
        return series


class HistogramSeries(_SeriesByKey[Key, BoundHistogram]):
    """The series of a histogram by key.

    Args:
        histogram: The instrument.
        attributes: Makes the attribute set of a key.
    """

    def __init__(self, histogram: Histogram, attributes: Callable[[Key], Attributes]) -> None:
        super().__init__(functools.partial(BoundHistogram, histogram), attributes)

    def record(self, key: Key, value: float, span_context: SpanContext | None = None) -> None:
        """Record a value.

        Args:
            key: Of the series.
            value: In the instrument's unit.
            span_context: Of the span that it was measured in, if that is sampled: for the exemplar.
        """
        series = self._by_key.get(key) or self.of(key)
        series.record(value, span_context)


class CounterSeries(_SeriesByKey[Key, BoundCounter]):
    """The series of a counter by key.

    Args:
        counter: The instrument.
        attributes: Makes the attribute set of a key.
    """

    def __init__(self, counter: Counter, attributes: Callable[[Key], Attributes]) -> None:
        super().__init__(functools.partial(BoundCounter, counter), attributes)

    def add(self, key: Key, amount: float = 1) -> None:
        """Add to a key's series.

        Args:
            key: Of the series.
            amount: In the instrument's unit, >= 0.
        """
        series = self._by_key.get(key) or self.of(key)
        series.add(amount)
