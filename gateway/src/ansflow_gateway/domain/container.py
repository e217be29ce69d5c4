"""What a control group tells of the container that the gateway runs in, as immutable values.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CpuThrottling:
    """How a limit on processor time was felt, since the group was made.

    Args:
        periods: Enforcement periods in which the group wanted to run.
        throttled_periods: Those in which it was stopped.
        throttled_s: Time for which its processors were stopped, summed over them, in seconds.
    """

    periods: int
    throttled_periods: int
    throttled_s: float


@dataclass(frozen=True, slots=True)
class ContainerCpu:
    """A group's processor time.

    Args:
        time_s: Seconds by `cpu.mode`, since the group was made.
        usage: CPUs in use on average since the reading before; None where no time has passed.
        limit: CPUs that it may use; None where nothing limits it.
        throttling: How the limit was felt; None where there is none.
    """

    time_s: Mapping[str, float]
    usage: float | None
    limit: float | None
    throttling: CpuThrottling | None


@dataclass(frozen=True, slots=True)
class ContainerMemory:
    """A group's memory, in bytes.

    Args:
        usage: All that it is charged for, page cache included.
        working_set: Of this, what isn't idle page cache; None where the kernel doesn't tell.
        limit: Most that it may use; None where nothing limits it.
        oom_kills: Processes killed for want of memory since the group was made; None where not told.
    """

    usage: int
    working_set: int | None
    limit: int | None
    oom_kills: int | None


@dataclass(frozen=True, slots=True)
class Container:
    """One reading of a group; a part whose controller is off is None or empty, never zero.

    Args:
        cpu: Processor time.
        memory: Memory.
        stalled_s: Time in which tasks waited, in seconds, by resource (`cpu`, `memory`, `io`) and whether
            `some` or `full` (all) of the tasks did.
    """

    cpu: ContainerCpu | None
    memory: ContainerMemory | None
    stalled_s: Mapping[tuple[str, str], float]
