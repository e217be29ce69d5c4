"""CPU time of other processes."""

import sys
import time
from contextlib import suppress

import psutil

__all__ = ["cpu_s", "tree_cpu_s"]


def cpu_s(pid: int) -> float:
    """Read the CPU time, user's and system's, of a process with all threads that it has had.

    Args:
        pid: A process of this user's.

    Returns:
        Seconds. On Linux to the nanosecond, from the process's CPU clock; elsewhere as psutil knows it.
    """
    if sys.platform == "linux":
        # What clock_getcpuclockid(3) computes, which Python does not offer.
        return time.clock_gettime((~pid << 3) | 2)
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def tree_cpu_s(pid: int) -> float:
    """Sum the CPU time of a server's processes, which are assumed to live as long as it is measured.

    Args:
        pid: The process that was started.

    Returns:
        Seconds, of the process and of those below it.
    """
    total = cpu_s(pid)
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(OSError, psutil.Error):  # gone in between: a helper of the server's start
            total += cpu_s(child.pid)
    return total
