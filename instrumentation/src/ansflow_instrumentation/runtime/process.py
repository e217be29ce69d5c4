"""What the operating system knows of this process.

Everything is read when metrics are collected, and at no other time, of the process that collects: a
`psutil.Process` is made anew after a fork. (The stock system-metrics instrumentation keeps the master's, so
that every worker reports the master's memory.)

Source:
    https://opentelemetry.io/docs/specs/semconv/system/process-metrics/
"""

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from opentelemetry.metrics import Meter

from ansflow_instrumentation.runtime.observing import Reading, observing

if TYPE_CHECKING:
    import psutil

__all__ = ["ProcessReader", "start", "stop"]

_NONE: dict[str, str | int] = {}


class ProcessReader:
    """Reads the values of the process that asks."""

    def __init__(self) -> None:
        self._of_pid: tuple[int, psutil.Process] | None = None
        self._cpu_before: tuple[int, float, dict[str, float]] | None = None

    def cpu_time(self) -> Iterable[Reading]:
        """Give seconds of CPU time by mode."""
        return [(seconds, {"cpu.mode": mode}) for mode, seconds in self._cpu_seconds().items()]

    def cpu_utilization(self) -> Iterable[Reading]:
        """Give the share of the CPUs that the process may use, by mode, since it was last asked; 0 to 1."""
        pid, now, seconds = os.getpid(), time.monotonic(), self._cpu_seconds()
        before = self._cpu_before
        if before is None or before[0] != pid:  # a child begins with its own birth
            before = (pid, now - self._uptime_s(), dict.fromkeys(seconds, 0.0))
        elapsed = now - before[1]
        if elapsed <= 0:
            return []
        self._cpu_before = (pid, now, seconds)
        capacity = elapsed * _usable_cpus()
        return [
            (max(0.0, used - before[2][mode]) / capacity, {"cpu.mode": mode})
            for mode, used in seconds.items()
        ]

    def memory_usage(self) -> Iterable[Reading]:
        """Give bytes of physical memory, the resident set."""
        return [(self._process().memory_info().rss, _NONE)]

    def memory_virtual(self) -> Iterable[Reading]:
        """Give bytes of virtual memory."""
        return [(self._process().memory_info().vms, _NONE)]

    def thread_count(self) -> Iterable[Reading]:
        """Give the number of threads, also of those that Python knows nothing of."""
        return [(self._process().num_threads(), _NONE)]

    def file_descriptors(self) -> Iterable[Reading]:
        """Give the number of open file descriptors."""
        return [(self._process().num_fds(), _NONE)]

    def context_switches(self) -> Iterable[Reading]:
        """Give the number of context switches by type."""
        switches = self._process().num_ctx_switches()
        return [
            (switches.voluntary, {"process.context_switch.type": "voluntary"}),
            (switches.involuntary, {"process.context_switch.type": "involuntary"}),
        ]

    def uptime(self) -> Iterable[Reading]:
        """Give seconds since the process was started or forked."""
        return [(self._uptime_s(), _NONE)]

    def _process(self) -> "psutil.Process":
        pid = os.getpid()
        known = self._of_pid
        if known is None or known[0] != pid:
            import psutil  # not before it is needed: no application has to wait for it at its start

            known = self._of_pid = (pid, psutil.Process(pid))
        return known[1]

    def _cpu_seconds(self) -> dict[str, float]:
        times = self._process().cpu_times()
        return {"user": times.user, "system": times.system}

    def _uptime_s(self) -> float:
        return max(0.0, time.time() - self._process().create_time())


def start(meter: Meter) -> None:
    """Observe the process.

    Args:
        meter: Makes the instruments.
    """
    read = ProcessReader()
    counter, up_down = meter.create_observable_counter, meter.create_observable_up_down_counter
    gauge = meter.create_observable_gauge
    counter("process.cpu.time", [observing(read.cpu_time)], "s", "CPU time that the process used.")
    gauge(
        "process.cpu.utilization",
        [observing(read.cpu_utilization)],
        "1",
        "CPU time used since the last collection, as a share of the CPUs that the process may use.",
    )
    up_down("process.memory.usage", [observing(read.memory_usage)], "By", "Physical memory in use.")
    up_down("process.memory.virtual", [observing(read.memory_virtual)], "By", "Virtual memory.")
    up_down("process.thread.count", [observing(read.thread_count)], "{thread}", "Threads.")
    if os.name == "posix":
        up_down(
            "process.unix.file_descriptor.count",
            [observing(read.file_descriptors)],
            "{file_descriptor}",
            "Open file descriptors.",
        )
    counter(
        "process.context_switches",
        [observing(read.context_switches)],
        "{context_switch}",
        "Times that the process gave its CPU up, or had to.",
    )
    gauge("process.uptime", [observing(read.uptime)], "s", "Time since the process was started or forked.")


def stop() -> None:
    """Do nothing: values are read by collections alone, and no instrument can be taken back."""


def _usable_cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on every system
        return os.cpu_count() or 1
