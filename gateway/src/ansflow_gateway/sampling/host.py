"""The readings themselves: psutil's answers, brought into the gateway's own values."""

import logging
import stat
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

import psutil

from ansflow_gateway.domain.container import Container
from ansflow_gateway.domain.system import Cpu, Disk, Filesystem, Interface, Memory, SystemSnapshot
from ansflow_gateway.sampling.cgroup import ContainerReader, find_group
from ansflow_gateway.sampling.cpu import CpuMeter
from ansflow_gateway.sampling.filesystems import choose
from ansflow_gateway.sampling.paging import read_paging
from ansflow_gateway.sampling.process import ProcessReader

_LOG: Final = logging.getLogger(__name__)
_BLOCK_DEVICES: Final = Path("/sys/block")
_LAYERED_ON_FILES: Final = ("loop", "ram", "zram", "fd", "sr")
_PAIRED: Final = ("veth",)

PartT = TypeVar("PartT")


class HostReader:
    """Reads the host; one thread owns it.

    A part that fails to be read is left out of the snapshot and logged once, so that a missing
    `/proc/diskstats` in a sandbox costs the disks and nothing else.

    Args:
        proc: Where procfs is mounted.
        cgroups: Where the cgroup2 filesystem is mounted.
    """

    def __init__(self, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> None:
        self._proc = proc
        self._cpu = CpuMeter(psutil.cpu_times())
        self._process = ProcessReader()
        self._failing: set[str] = set()
        group = self._part("control group", lambda: find_group(proc, cgroups), None)
        self._container = ContainerReader(group, time.monotonic()) if group else None

    def read(self, taken_at: float) -> SystemSnapshot:
        """Read everything once.

        Args:
            taken_at: Monotonic time, in seconds.

        Returns:
            The snapshot. Its CPU shares cover the time since the call before, or since construction.
        """
        return SystemSnapshot(
            taken_at=taken_at,
            cpu=self._part("cpu", self._read_cpu, None),
            memory=self._part("memory", read_memory, None),
            filesystems=self._part("filesystems", read_filesystems, ()),
            disks=self._part("disks", read_disks, ()),
            interfaces=self._part("interfaces", read_interfaces, ()),
            paging=self._part("paging", lambda: read_paging(self._proc), None),
            process=self._part("own process", self._process.read, None),
            container=self._part("container", lambda: self._read_container(taken_at), None),
        )

    def _read_container(self, taken_at: float) -> Container | None:
        return self._container.read(taken_at) if self._container else None

    def _read_cpu(self) -> Cpu | None:
        count = psutil.cpu_count(logical=True)
        return self._cpu.read(psutil.cpu_times(), count) if count else None

    def _part(self, name: str, read: Callable[[], PartT], absent: PartT) -> PartT:
        try:
            part = read()
        except (OSError, psutil.Error, RuntimeError, NotImplementedError, ValueError) as error:
            if name not in self._failing:
                _LOG.warning("the host's %s can't be read", name, extra={"error": repr(error)})
                self._failing.add(name)
            return absent
        self._failing.discard(name)
        return part


def read_memory() -> Memory:
    """Read physical memory.

    Returns:
        Its states, in bytes.
    """
    memory = psutil.virtual_memory()
    # Some container views report more available than total, or less available than free.
    available = min(memory.available, memory.total)
    free = min(memory.free, available)
    return Memory(total=memory.total, used=memory.total - available, free=free, cached=available - free)


def read_filesystems() -> tuple[Filesystem, ...]:
    """Read the filesystems that `filesystems.choose` takes.

    Returns:
        Their states, in bytes; one that can't be asked, or has no size, is left out.
    """
    found: list[Filesystem] = []
    for mount in choose(psutil.disk_partitions(all=False), psutil.disk_partitions(all=True), _device_number):
        try:
            usage = psutil.disk_usage(mount.mountpoint)
        except OSError:
            continue  # unmounted meanwhile, or not permitted
        if usage.total > 0:
            reserved = max(0, usage.total - usage.used - usage.free)
            found.append(
                Filesystem(mount.device, mount.mountpoint, mount.fstype, usage.used, usage.free, reserved)
            )
    return tuple(found)


def read_disks() -> tuple[Disk, ...]:
    """Read the block devices' counters.

    Left out are partitions and devices backed by files or memory, whose I/O another device counts too, and
    devices never used. Device-mapper and RAID devices stay, so a sum over devices counts their I/O at each
    layer.

    Returns:
        The devices' counters since boot.
    """
    counters = psutil.disk_io_counters(perdisk=True) or {}
    return tuple(
        Disk(
            device=name,
            read_bytes=io.read_bytes,
            write_bytes=io.write_bytes,
            read_count=io.read_count,
            write_count=io.write_count,
            busy_s=io.busy_time / 1000 if hasattr(io, "busy_time") else None,
        )
        for name, io in counters.items()
        if io.read_count + io.write_count > 0 and not name.startswith(_LAYERED_ON_FILES) and _is_whole(name)
    )


def read_interfaces() -> tuple[Interface, ...]:
    """Read the network interfaces' counters.

    Left out are the loopback interface, whose traffic never leaves the host and is counted in both
    directions; the host's ends of containers' interface pairs, which come and go and whose traffic the
    bridge counts; and interfaces that never carried a packet.

    Returns:
        The interfaces' counters since each appeared.
    """
    stats = psutil.net_if_stats()
    return tuple(
        Interface(
            name=name,
            received_bytes=io.bytes_recv,
            sent_bytes=io.bytes_sent,
            receive_errors=io.errin,
            send_errors=io.errout,
            receive_drops=io.dropin,
            send_drops=io.dropout,
        )
        for name, io in psutil.net_io_counters(pernic=True).items()
        if io.packets_recv + io.packets_sent > 0
        and not name.startswith(_PAIRED)
        and not (name in stats and "loopback" in stats[name].flags.split(","))
    )


def _device_number(mountpoint: str) -> int | None:
    try:
        status = Path(mountpoint).stat()
    except OSError:
        return None
    return status.st_dev if stat.S_ISDIR(status.st_mode) else None


@lru_cache(maxsize=1024)
def _is_whole(device: str) -> bool:
    # Linux lists whole devices there; other platforms' counters are of whole devices anyway.
    return not _BLOCK_DEVICES.is_dir() or (_BLOCK_DEVICES / device.replace("/", "!")).exists()
