"""The gateway's own process."""

import psutil

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

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
            usage = resource.getrusage(resource.RUSAGE_SELF) if resource else None
            return Process(
                user_s=cpu.user,
                system_s=cpu.system,
                resident=memory.rss,
                virtual=memory.vms,
                threads=process.num_threads(),
                file_descriptors=process.num_fds() if hasattr(process, "num_fds") else None,
                voluntary_switches=usage.ru_nvcsw if usage else None,
                involuntary_switches=usage.ru_nivcsw if usage else None,
            )
