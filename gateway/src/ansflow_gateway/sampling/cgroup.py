"""The control group (version 2) that the gateway runs in.

psutil reports the host, also in a container; what the container may use, and was denied, only its control
group tells. Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ansflow_gateway.domain.container import Container, ContainerCpu, ContainerMemory, CpuThrottling

_USEC: Final = 1e-6
_UNLIMITED: Final = "max"
_RESOURCES: Final = ("cpu", "memory", "io")


def find_group(proc: Path, mounted: Path) -> Path | None:
    """Find the control group that is reported as the container.

    Within a control-group namespace, as container runtimes make it, that is the namespace's root. Otherwise
    it is the nearest group, from the process' own upwards, that limits processor time or memory: a login
    session or a system service without limits is no container, and its figures would only mislead.

    Args:
        proc: Where procfs is mounted.
        mounted: Where the cgroup2 filesystem is mounted.

    Returns:
        The group's directory; None where there is none.
    """
    own = _own_path(proc)
    if own is None or not (mounted / "cgroup.controllers").exists():
        return None
    # Only the hierarchy's true root has no type: a root that has one is a namespace's.
    if (mounted / "cgroup.type").exists():
        return mounted
    group = mounted / own
    while group != mounted:
        if _cpu_limit(group) is not None or _memory_limit(group) is not None:
            return group
        group = group.parent
    return None


class ContainerReader:
    """Reads one control group; its construction takes the baseline of `usage`.

    Args:
        group: Its directory, which stays the same: figures of another would make the counters jump.
        now: Monotonic time, in seconds.
    """

    def __init__(self, group: Path, now: float) -> None:
        self._group = group
        self._before: tuple[float, float] | None = None
        self._usage(_numbers(group / "cpu.stat").get("usage_usec"), now)

    def read(self, now: float) -> Container | None:
        """Read the group.

        Args:
            now: Monotonic time, in seconds.

        Returns:
            The reading; None where the group tells nothing.
        """
        container = Container(self._read_cpu(now), self._read_memory(), self._read_pressure())
        return container if container.cpu or container.memory or container.stalled_s else None

    def _read_cpu(self, now: float) -> ContainerCpu | None:
        stat = _numbers(self._group / "cpu.stat")
        if not stat.keys() >= {"usage_usec", "user_usec", "system_usec"}:
            return None
        limit = _cpu_limit(self._group)
        throttling = None
        if limit is not None and "nr_periods" in stat:
            throttling = CpuThrottling(
                stat["nr_periods"], stat["nr_throttled"], stat["throttled_usec"] * _USEC
            )
        return ContainerCpu(
            time_s=MappingProxyType(
                {"user": stat["user_usec"] * _USEC, "system": stat["system_usec"] * _USEC}
            ),
            usage=self._usage(stat["usage_usec"], now),
            limit=limit,
            throttling=throttling,
        )

    def _usage(self, usage_usec: int | None, now: float) -> float | None:
        if usage_usec is None:
            return None
        before, self._before = self._before, (usage_usec * _USEC, now)
        if before is None or now <= before[1]:
            return None
        return max(0.0, (self._before[0] - before[0]) / (now - before[1]))

    def _read_memory(self) -> ContainerMemory | None:
        usage = _text(self._group / "memory.current")
        if usage is None:
            return None
        idle = _numbers(self._group / "memory.stat").get("inactive_file")
        return ContainerMemory(
            usage=int(usage),
            working_set=max(0, int(usage) - idle) if idle is not None else None,
            limit=_memory_limit(self._group),
            oom_kills=_numbers(self._group / "memory.events").get("oom_kill"),
        )

    def _read_pressure(self) -> Mapping[tuple[str, str], float]:
        stalled: dict[tuple[str, str], float] = {}
        for resource in _RESOURCES:
            # `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`, and the same for `full`
            for line in (_text(self._group / f"{resource}.pressure") or "").splitlines():
                share = line.partition(" ")[0]
                stalled[resource, share] = int(line.rpartition("total=")[2]) * _USEC
        return MappingProxyType(stalled)


def _own_path(proc: Path) -> str | None:
    for line in (_text(proc / "self" / "cgroup") or "").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            # A process outside of the namespace's root is shown with `..`, and is nowhere below the mount.
            return None if ".." in path.split("/") else path.strip("/")
    return None


def _cpu_limit(group: Path) -> float | None:
    quota, _, period = (_text(group / "cpu.max") or _UNLIMITED).partition(" ")
    return None if quota == _UNLIMITED else int(quota) / int(period)


def _memory_limit(group: Path) -> int | None:
    limit = _text(group / "memory.max") or _UNLIMITED
    return None if limit == _UNLIMITED else int(limit)


def _numbers(path: Path) -> Mapping[str, int]:
    pairs = (line.split() for line in (_text(path) or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _text(path: Path) -> str | None:
    # A controller that is off has no files; the pressure files of a kernel that was booted with `psi=0`
    # exist, and fail when they are read.
    try:
        return path.read_text().strip()
    except OSError:
        return None
