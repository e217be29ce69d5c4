"""What CPython's garbage collector did, since the process was started or forked.

How long a collection took is recorded for the generations above the youngest: that is when everything stands
still. The youngest is collected hundreds of times a second, for some microseconds.

The collector runs wherever an object is made, also where this thread holds a lock of the SDK, so its callback
takes none: it leaves the duration in a queue, and the next collection of metrics records it.

Source:
    https://opentelemetry.io/docs/specs/semconv/runtime/cpython-metrics/
"""

import gc
import os
from collections import deque
from collections.abc import Iterable
from time import perf_counter
from typing import Any

from opentelemetry.metrics import Histogram, Meter

from ansflow_instrumentation.runtime.observing import Reading, observing

__all__ = ["GarbageReader", "start", "stop"]

MAX_WAITING = 10_000
"""Durations that wait for a collection of metrics; beyond it the oldest are forgotten, and the histogram's
count is less than `cpython.gc.collections`."""

PAUSE_BOUNDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Seconds: a full collection takes some 10 ms where there are 100,000 objects, and 100 ms in a large heap."""


class GarbageReader:
    """Reads the collector's statistics, and notes its pauses.

    Args:
        pauses: Takes the durations.
    """

    def __init__(self, pauses: Histogram) -> None:
        self._pauses = pauses
        self._waiting: deque[tuple[int, float]] = deque(maxlen=MAX_WAITING)
        self._started: float | None = None
        self._inherited: list[dict[str, int]] = [{} for _ in gc.get_stats()]

    def note(self, phase: str, info: dict[str, Any]) -> None:
        """Note a collection's duration; for `gc.callbacks`.

        Args:
            phase: `start` or `stop`.
            info: Of the collection.
        """
        if info["generation"] == 0:
            return
        if phase == "start":
            self._started = perf_counter()
        elif self._started is not None:
            self._waiting.append((info["generation"], perf_counter() - self._started))
            self._started = None

    def collections(self) -> Iterable[Reading]:
        """Give how often each generation was collected; and record the pauses."""
        while self._waiting:
            try:
                generation, seconds = self._waiting.popleft()
            except IndexError:  # another reader's collection took it
                break
            self._pauses.record(seconds, {"cpython.gc.generation": generation})
        return self._statistics("collections")

    def collected_objects(self) -> Iterable[Reading]:
        """Give how many objects were freed, by generation."""
        return self._statistics("collected")

    def uncollectable_objects(self) -> Iterable[Reading]:
        """Give how many objects could not be freed, by generation."""
        return self._statistics("uncollectable")

    def forget_inherited(self) -> None:
        """Leave out, in a forked child, what the parent's collector did."""
        self._inherited = gc.get_stats()
        self._waiting.clear()
        self._started = None

    def _statistics(self, name: str) -> Iterable[Reading]:
        return [
            (now[name] - before.get(name, 0), {"cpython.gc.generation": generation})
            for generation, (now, before) in enumerate(zip(gc.get_stats(), self._inherited, strict=True))
        ]


_reader: GarbageReader | None = None


def start(meter: Meter) -> None:
    """Observe the collector.

    Args:
        meter: Makes the instruments.
    """
    global _reader
    pauses = meter.create_histogram(
        "ansflow.gc.pause.duration",
        "s",
        "Time that a collection of a generation above the youngest took.",
        explicit_bucket_boundaries_advisory=PAUSE_BOUNDS,
    )
    _reader = read = GarbageReader(pauses)
    counter = meter.create_observable_counter
    counter(
        "cpython.gc.collections", [observing(read.collections)], "{collection}", "Collections by generation."
    )
    counter("cpython.gc.collected_objects", [observing(read.collected_objects)], "{object}", "Objects freed.")
    counter(
        "cpython.gc.uncollectable_objects",
        [observing(read.uncollectable_objects)],
        "{object}",
        "Objects that could not be freed.",
    )
    gc.callbacks.append(read.note)


def stop() -> None:
    """Note no further pauses."""
    global _reader
    if _reader is not None and _reader.note in gc.callbacks:
        gc.callbacks.remove(_reader.note)
    _reader = None


def _forget_inherited() -> None:
    if _reader is not None:
        _reader.forget_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)
