"""Reads the default registry of prometheus_client for what this process has recorded itself.

Each process exports its own, and whoever sums over instances counts everything once:

- With `PROMETHEUS_MULTIPROC_DIR` the metrics of the registry still have this process's own values; the files
  of the others are theirs to export, and those of processes that have died were exported by these. Values
  that a process finds in files of its own id, left by a process that had that id before, are not its own.
- Without it a forked process has a copy of its parent's values. What was recorded before the fork is taken
  off. It is noted before the fork, in the parent, where nobody can hold a lock for ever; and no other thread
  of ours reads at that moment, so none of prometheus_client's locks is held in the child on our part.

prometheus_client is never imported first by this package: when it is imported, it decides whether it is in
multiprocess mode, and it is the application's to say so before.
"""

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

from ansflow_instrumentation.prometheus_bridge.conversion import Times
from ansflow_instrumentation.survive import survive

__all__ = ["RegistryReader"]

_logger = logging.getLogger(__name__)

NOT_OF_THE_APPLICATION = (
    "prometheus_client.gc_collector",
    "prometheus_client.platform_collector",
    "prometheus_client.process_collector",
    # Other processes' values, which these export.
    "prometheus_client.multiprocess",
    # The SDK's own metrics.
    "opentelemetry.exporter.prometheus",
)
"""Modules of collectors that are left out; the first three are what the runtime meters are for."""

LOCK_WAITS_S = 1.0
"""So long at most is waited for a collector of the application's that is just being read or registered."""

SUMMED = ("counter", "histogram", "summary")
"""Types of families whose values only rise, so that what was there before can be taken off."""

Key = tuple[str, tuple[tuple[str, str], ...]]


class RegistryReader:
    """Reads families, without what is excluded or somebody else's.

    Args:
        exclude: Patterns of names of families, with `_total` or without.
    """

    def __init__(self, exclude: Sequence[str]) -> None:
        self._exclude = exclude
        self._others: Mapping[Key, float] = {}
        self._before_fork: Mapping[Key, float] = {}
        self._start_ns = time.time_ns()
        self._not_before_ns = 0
        self._failed: set[str] = set()
        self._recorded: set[str] = set()
        self._reading = RLock()

    def times(self) -> Times:
        """Give the times of a collection that is made now.

        Returns:
            The times.
        """
        return Times(time.time_ns(), self._start_ns, self._not_before_ns)

    def families(self) -> Iterator[Any]:
        """Read all families.

        Yields:
            Objects like `prometheus_client.Metric`. A collector that fails is left out, with one warning.
        """
        with self._reading:
            collectors = _collectors()
        for collector in collectors:
            if type(collector).__module__.startswith(NOT_OF_THE_APPLICATION):
                continue
            try:
                with self._reading:
                    families = list(collector.collect())
            except Exception:
                name = type(collector).__qualname__
                if name not in self._failed:
                    self._failed.add(name)
                    _logger.warning("%s cannot be collected, and is left out", name, exc_info=True)
                continue
            is_recorded = _is_recorded(collector)
            for family in families:
                if is_recorded:
                    self._recorded.add(family.name)
                if not self._is_excluded(family.name):
                    self._take_off_others(family)
                    yield family

    def has_recorded(self, family: Any) -> bool:
        """Tell what this process has recorded itself from what a collector of the application's has read.

        Args:
            family: From `families`.

        Returns:
            Whether it is recorded in this process, and therefore begins with it.
        """
        return family.name in self._recorded

    def leave_out_files_of_predecessors(self, _: ModuleType | None = None) -> None:
        """Note what is in files of this process's id, in multiprocess mode, before anything is recorded."""
        directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        files = sorted(map(str, Path(directory).glob(f"*_{os.getpid()}.db"))) if directory else ()
        if files:
            from prometheus_client.multiprocess import MultiProcessCollector

            merge: Any = MultiProcessCollector.merge
            self._others = _values(merge(files, accumulate=True))

    def prepare_fork(self) -> None:
        """Note, in the parent, what the child will have a copy of; nobody reads until it has forked."""
        self._reading.acquire(timeout=LOCK_WAITS_S)
        self._note_before_fork()

    def go_on(self) -> None:
        """Go on reading, in the parent."""
        with suppress(RuntimeError):  # it could not be had in time
            self._reading.release()

    def _note_before_fork(self) -> None:
        if _is_multiprocess():
            self._before_fork = {}
            return
        own = [collector for collector in _collectors() if _is_recorded(collector)]
        self._before_fork = _values(family for collector in own for family in collector.collect())

    def start_over(self) -> None:
        """Begin, in the child, without what is the parent's."""
        self._reading = RLock()
        self._start_ns = self._not_before_ns = time.time_ns()
        self._others = self._before_fork
        if _is_multiprocess():
            self._others = {}
            self.leave_out_files_of_predecessors()

    def _is_excluded(self, name: str) -> bool:
        return any(
            fnmatchcase(name, pattern) or fnmatchcase(f"{name}_total", pattern) for pattern in self._exclude
        )

    def _take_off_others(self, family: Any) -> None:
        if not self._others or family.type not in SUMMED:
            return
        family.samples = [
            sample._replace(value=sample.value - others)
            # Less than there was before: it has been reset since.
            if 0 < (others := self._others.get(_key(sample), 0)) <= sample.value
            else sample
            for sample in family.samples
        ]


def _collectors() -> list[Any]:
    registry: Any = getattr(sys.modules.get("prometheus_client.registry"), "REGISTRY", None)
    if registry is None:
        return []
    with survive("Reading the collectors of prometheus_client"):
        # Held for as long as a collector that is being registered takes to describe itself; if that forks, it
        # is this thread that holds it.
        is_free = registry._lock.acquire(timeout=LOCK_WAITS_S)
        try:
            return list(registry._collector_to_names)
        finally:
            if is_free:
                registry._lock.release()
    return [registry]  # all of them at once


def _is_recorded(collector: Any) -> bool:
    """Tell a counter, a histogram, ... of prometheus_client's from a collector of an application's own."""
    metrics = sys.modules.get("prometheus_client.metrics")
    return metrics is not None and isinstance(collector, metrics.MetricWrapperBase)


def _is_multiprocess() -> bool:
    values: Any = sys.modules.get("prometheus_client.values")
    return values is not None and bool(getattr(values.ValueClass, "_multiprocess", False))


def _values(families: Iterable[Any]) -> dict[Key, float]:
    return {
        _key(sample): sample.value
        for family in families
        if family.type in SUMMED
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def _key(sample: Any) -> Key:
    return sample.name, tuple(sorted(sample.labels.items()))
