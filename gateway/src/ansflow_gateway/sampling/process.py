"""The gateway's own process."""

import sys

import psutil

from ansflow_gateway.domain.system import Process


class ProcessReader:
    """Reads this process; made once, since psutil's construction reads the start time."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def read(self) -> Process:
        """Read the process.

        Returns:
            The reading. Context switches and file descriptors are None on platforms without them.

        Raises:
            psutil.Error: The platform refuses.
        """
        process = self._process
        with process.oneshot():  # one read of each file of procfs for all that is asked of it
            cpu = process.cpu_times()
            memory = process.memory_info()
            # Those of all threads: what psutil tells are the main thread's alone.
            switches = _switches()
            return Process(
                user_s=cpu.user,
                system_s=cpu.system,
                resident=memory.rss,
                virtual=memory.vms,
                threads=process.num_threads(),
                file_descriptors=process.num_fds() if hasattr(process, "num_fds") else None,
                voluntary_switches=switches[0] if switches else None,
                involuntary_switches=switches[1] if switches else None,
            )


def _switches() -> tuple[int, int] | None:
    if sys.platform == "win32":
        return None
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw, usage.ru_nivcsw
