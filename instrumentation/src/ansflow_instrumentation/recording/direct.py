"""Adds measurements to the SDK's aggregations, past its instruments.

What is touched of an aggregation is private to the SDK; `sdk.sdk_fits` tries it out before it is relied upon.
"""

from bisect import bisect_left
from collections.abc import Callable
from time import time_ns
from typing import Any

from opentelemetry.trace import SpanContext

from ansflow_instrumentation.recording.exemplars import LatestByBucket

__all__ = ["Add", "Record", "add_to", "record_to"]

Record = Callable[[float, SpanContext | None], None]
"""Records a value, with the context of the sampled span that it was measured in."""

Add = Callable[[float], None]
"""Adds an amount."""


def record_to(aggregation: Any, exemplars: LatestByBucket | None, consumer: Any, otherwise: Record) -> Record:
    """Make what records to a histogram's aggregation.

    Args:
        aggregation: An explicit-bucket histogram's.
        exemplars: Its reservoir, if it takes exemplars from here.
        consumer: The SDK's measurement consumer.
        otherwise: Records from the moment on at which a reader was added or removed.

    Returns:
        The function.
    """
    storages = consumer._reader_storages
    lock = aggregation._lock
    bounds = aggregation._boundaries
    buckets = len(bounds) + 1

    def record(value: float, span_context: SpanContext | None = None) -> None:
        if consumer._reader_storages is not storages:
            otherwise(value, span_context)
            return
        bucket = bisect_left(bounds, value)
        with lock:
            counts = aggregation._value
            if counts is None:
                counts = aggregation._value = [0] * buckets
            counts[bucket] += 1
            aggregation._sum += value
            if value < aggregation._min:
                aggregation._min = value
            if value > aggregation._max:
                aggregation._max = value
        if span_context is not None and exemplars is not None:
            exemplars.latest[bucket] = (value, time_ns(), span_context)

    return record


def add_to(aggregation: Any, consumer: Any, otherwise: Add) -> Add:
    """Make what adds to a counter's aggregation.

    Args:
        aggregation: A sum.
        consumer: The SDK's measurement consumer.
        otherwise: Adds from the moment on at which a reader was added or removed.

    Returns:
        The function.
    """
    storages = consumer._reader_storages
    lock = aggregation._lock

    def add(amount: float) -> None:
        if consumer._reader_storages is not storages:
            otherwise(amount)
            return
        with lock:
            aggregation._value = (aggregation._value or 0) + amount

    return add
