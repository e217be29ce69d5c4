"""The meters of cache operations, and who counts one where a cache is built on another."""

import functools
from contextvars import ContextVar
from typing import Literal

from opentelemetry import metrics
from opentelemetry.trace import SpanContext

from ansflow_instrumentation.conventions import DATABASE_BOUNDS, SCHEMA_URL
from ansflow_instrumentation.recording import CounterSeries, HistogramSeries
from ansflow_instrumentation.version import __version__

__all__ = ["CacheMeters", "Status", "cache_meters", "current_owner"]

Status = Literal["hit", "miss", "ok", "error"]

current_owner: ContextVar[object | None] = ContextVar("ansflow_cache_operation", default=None)
"""The operation of Django's cache that is under way: what it asks of redis-py is not counted again."""


class CacheMeters:
    """Counts and times cache operations.

    Attributes:
        operations: By (cache, operation, status).
        durations: In seconds, likewise.
    """

    def __init__(self) -> None:
        meter = metrics.get_meter("ansflow_instrumentation.cache", __version__, schema_url=SCHEMA_URL)
        self.operations: CounterSeries[tuple[str, str, Status]] = CounterSeries(
            meter.create_counter(
                "ansflow.cache.operations",
                "{operation}",
                "Operations on a cache: look-ups are hits or misses, one for each key.",
            ),
            _attributes,
        )
        self.durations: HistogramSeries[tuple[str, str, Status]] = HistogramSeries(
            meter.create_histogram(
                "ansflow.cache.operation.duration",
                "s",
                "Duration of operations on a cache, one a call.",
                explicit_bucket_boundaries_advisory=DATABASE_BOUNDS,
            ),
            _attributes,
        )

    def record(
        self, cache: str, operation: str, status: Status, duration_s: float, span_context: SpanContext | None
    ) -> None:
        """Count and time an operation on one key, or on none.

        Args:
            cache: Its name.
            operation: What was done.
            status: How it ended.
            duration_s: Seconds.
            span_context: Of the span it was done in, if that is sampled.
        """
        key = (cache, operation, status)
        self.operations.add(key)
        self.durations.record(key, duration_s, span_context)

    def count_lookups(self, cache: str, operation: str, hits: int, misses: int) -> Status:
        """Count the keys that were asked for together, each as a hit or as a miss.

        Args:
            cache: Its name.
            operation: What was done.
            hits: Keys found.
            misses: Keys not found.

        Returns:
            The status of the call as a whole, under which it is timed: `hit` where all were found, `miss`
            where one was not, `ok` where none was asked for.
        """
        if hits:
            self.operations.add((cache, operation, "hit"), hits)
        if misses:
            self.operations.add((cache, operation, "miss"), misses)
        if hits or misses:
            return "miss" if misses else "hit"
        self.operations.add((cache, operation, "ok"))
        return "ok"


@functools.cache
def cache_meters() -> CacheMeters:
    """Give the meters, which are made once a process.

    Returns:
        The meters of all caches.
    """
    return CacheMeters()


def _attributes(key: tuple[str, str, Status]) -> dict[str, str]:
    cache, operation, status = key
    return {"cache": cache, "operation": operation, "status": status}
