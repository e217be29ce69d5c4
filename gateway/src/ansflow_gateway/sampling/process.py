"""The gateway's own process."""

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
            switches = process.num_ctx_switches() if hasattr(process, "num_ctx_switches") else None
            return Process(
                user_s=cpu.user,
                system_s=cpu.system,
                resident=memory.rss,
                virtual=memory.vms,
                threads=process.num_threads(),
                file_descriptors=process.num_fds() if hasattr(process, "num_fds") else None,
                voluntary_switches=switches.voluntary if switches else None,
                involuntary_switches=switches.involuntary if switches else None,
            )
