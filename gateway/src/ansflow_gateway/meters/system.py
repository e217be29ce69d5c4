"""The host's meters: callbacks that read the sampler's latest snapshot and nothing else."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ansflow_gateway.domain.system import Filesystem, SystemSnapshot
from ansflow_gateway.meters import catalogue as c
from ansflow_gateway.meters import container, process
from ansflow_gateway.meters.instruments import Instruments, Measurement

Reading = Callable[[SystemSnapshot], Iterable[Measurement]]


def register(instruments: Instruments, snapshot: Callable[[], SystemSnapshot | None]) -> None:
    """Make the system instruments.

    Args:
        instruments: Makes them.
        snapshot: Gives the latest snapshot, from any thread; None gives no series at all.
    """
    for declaration, reading in READINGS.items():
        instruments.observe(declaration, _observe(reading, snapshot))


def _observe(
    reading: Reading, snapshot: Callable[[], SystemSnapshot | None]
) -> Callable[[], Iterable[Measurement]]:
    def observe() -> Iterable[Measurement]:
        latest = snapshot()
        return reading(latest) if latest is not None else ()

    return observe


def _cpu_time(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.cpu:
        for mode, seconds in snapshot.cpu.time_s.items():
            yield Measurement(seconds, {c.CPU_MODE: mode})


def _cpu_utilization(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.cpu and snapshot.cpu.utilization is not None:
        for mode, share in snapshot.cpu.utilization.items():
            yield Measurement(share, {c.CPU_MODE: mode})


def _cpu_logical_count(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.cpu:
        yield Measurement(snapshot.cpu.logical_count, {})


def _memory_usage(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    memory = snapshot.memory
    if memory:
        for state, size in (("used", memory.used), ("free", memory.free), ("cached", memory.cached)):
            yield Measurement(size, {c.MEMORY_STATE: state})


def _memory_limit(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.memory:
        yield Measurement(snapshot.memory.total, {})


def _memory_utilization(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.memory and snapshot.memory.total:
        for usage in _memory_usage(snapshot):
            yield Measurement(usage.value / snapshot.memory.total, usage.attributes)


def _filesystem_usage(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for filesystem in snapshot.filesystems:
        sizes = {"used": filesystem.used, "free": filesystem.free, "reserved": filesystem.reserved}
        for state, size in sizes.items():
            yield Measurement(size, _filesystem_attributes(filesystem, state))


def _filesystem_utilization(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for filesystem in snapshot.filesystems:
        open_to_all = filesystem.used + filesystem.free
        if open_to_all > 0:
            yield Measurement(filesystem.used / open_to_all, _filesystem_attributes(filesystem, "used"))


def _filesystem_attributes(filesystem: Filesystem, state: str) -> dict[str, str]:
    return {
        c.DEVICE: filesystem.device,
        c.MOUNTPOINT: filesystem.mountpoint,
        c.FILESYSTEM_TYPE: filesystem.type,
        c.FILESYSTEM_STATE: state,
    }


def _disk_io(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for disk in snapshot.disks:
        yield Measurement(disk.read_bytes, {c.DEVICE: disk.device, c.DISK_DIRECTION: "read"})
        yield Measurement(disk.write_bytes, {c.DEVICE: disk.device, c.DISK_DIRECTION: "write"})


def _disk_operations(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for disk in snapshot.disks:
        yield Measurement(disk.read_count, {c.DEVICE: disk.device, c.DISK_DIRECTION: "read"})
        yield Measurement(disk.write_count, {c.DEVICE: disk.device, c.DISK_DIRECTION: "write"})


def _disk_io_time(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for disk in snapshot.disks:
        if disk.busy_s is not None:
            yield Measurement(disk.busy_s, {c.DEVICE: disk.device})


def _both_ways(interface: str, received: int, sent: int) -> Iterable[Measurement]:
    yield Measurement(received, {c.INTERFACE: interface, c.NETWORK_DIRECTION: "receive"})
    yield Measurement(sent, {c.INTERFACE: interface, c.NETWORK_DIRECTION: "transmit"})


def _network_io(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for interface in snapshot.interfaces:
        yield from _both_ways(interface.name, interface.received_bytes, interface.sent_bytes)


def _network_errors(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for interface in snapshot.interfaces:
        yield from _both_ways(interface.name, interface.receive_errors, interface.send_errors)


def _network_dropped(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for interface in snapshot.interfaces:
        yield from _both_ways(interface.name, interface.receive_drops, interface.send_drops)


READINGS: Final[Mapping[c.Declaration, Reading]] = MappingProxyType(
    {
        c.CPU_TIME: _cpu_time,
        c.CPU_UTILIZATION: _cpu_utilization,
        c.CPU_LOGICAL_COUNT: _cpu_logical_count,
        c.MEMORY_USAGE: _memory_usage,
        c.MEMORY_LIMIT: _memory_limit,
        c.MEMORY_UTILIZATION: _memory_utilization,
        c.FILESYSTEM_USAGE: _filesystem_usage,
        c.FILESYSTEM_UTILIZATION: _filesystem_utilization,
        c.DISK_IO: _disk_io,
        c.DISK_OPERATIONS: _disk_operations,
        c.DISK_IO_TIME: _disk_io_time,
        c.NETWORK_IO: _network_io,
        c.NETWORK_ERRORS: _network_errors,
        c.NETWORK_DROPPED: _network_dropped,
        **process.READINGS,
        **container.READINGS,
    }
)
"""What each system instrument reads; a new one is one function and one line."""
