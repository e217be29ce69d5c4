"""What is read from the host, as immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass

from ansflow_gateway.domain.container import Container


@dataclass(frozen=True, slots=True)
class Cpu:
    """Processor time.

    Args:
        time_s: Seconds since boot, summed over all processors, by `cpu.mode`; never decreases.
        utilization: Share of the time since the reading before, by `cpu.mode`, summing to 1; None where no
            time has passed.
        logical_count: Number of logical processors.
    """

    time_s: Mapping[str, float]
    utilization: Mapping[str, float] | None
    logical_count: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Physical memory, in bytes; the three states sum to the total.

    Args:
        total: All of it.
        used: What can't be had without swapping: total - available.
        free: What nothing occupies.
        cached: What the kernel would give up: page cache, buffers, reclaimable slab.
    """

    total: int
    used: int
    free: int
    cached: int


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A mounted filesystem, in bytes; the three states sum to its size.

    Args:
        device: What is mounted.
        mountpoint: Where.
        type: The filesystem's type.
        used: Occupied.
        free: Free for unprivileged users.
        reserved: Free for root alone.
    """

    device: str
    mountpoint: str
    type: str
    used: int
    free: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device's counters since boot.

    Args:
        device: Its name.
        read_bytes: Bytes read.
        write_bytes: Bytes written.
        read_count: Reads completed.
        write_count: Writes completed.
        busy_s: Time with I/O in flight, in seconds; None where the platform doesn't tell.
    """

    device: str
    read_bytes: int
    write_bytes: int
    read_count: int
    write_count: int
    busy_s: float | None


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface's counters since it appeared.

    Args:
        name: Its name.
        received_bytes: Bytes received.
        sent_bytes: Bytes sent.
        receive_errors: Errors while receiving.
        send_errors: Errors while sending.
        receive_drops: Packets dropped while receiving.
        send_drops: Packets dropped while sending.
    """

    name: str
    received_bytes: int
    sent_bytes: int
    receive_errors: int
    send_errors: int
    receive_drops: int
    send_drops: int


@dataclass(frozen=True, slots=True)
class SwapDevice:
    """A swap partition or file, in bytes.

    Args:
        device: Its path.
        size: All of it.
        used: Occupied.
    """

    device: str
    size: int
    used: int


@dataclass(frozen=True, slots=True)
class Paging:
    """What the host's memory management did since boot.

    Args:
        swap: Swap devices in use; empty where swapping is off.
        swapped_in: Pages read from swap.
        swapped_out: Pages written to swap.
        major_faults: Page faults that needed I/O.
        minor_faults: Page faults that didn't.
    """

    swap: tuple[SwapDevice, ...]
    swapped_in: int
    swapped_out: int
    major_faults: int
    minor_faults: int


@dataclass(frozen=True, slots=True)
class Process:
    """The gateway's own process. What the platform doesn't tell is None.

    Args:
        user_s: Processor time in its own code, in seconds.
        system_s: Processor time in the kernel, in seconds.
        resident: Physical memory, in bytes.
        virtual: Address space, in bytes.
        threads: Number of threads.
        file_descriptors: Number of open ones.
        voluntary_switches: Context switches because it waited.
        involuntary_switches: Context switches because its time was up.
    """

    user_s: float
    system_s: float
    resident: int
    virtual: int
    threads: int
    file_descriptors: int | None
    voluntary_switches: int | None
    involuntary_switches: int | None


@dataclass(frozen=True, slots=True)
class SystemSnapshot:
    """One reading of the host. A part that can't be read on this platform is None or empty, never zero.

    Args:
        taken_at: Monotonic time of the reading, in seconds.
        cpu: Processor time.
        memory: Physical memory.
        filesystems: Real filesystems, each once.
        disks: Whole block devices that were ever used.
        interfaces: Network interfaces that ever carried anything, but loopback.
        paging: Swap and page faults.
        process: The gateway itself.
        container: The control group that limits the gateway; None outside of one.
    """

    taken_at: float
    cpu: Cpu | None
    memory: Memory | None
    filesystems: tuple[Filesystem, ...]
    disks: tuple[Disk, ...]
    interfaces: tuple[Interface, ...]
    paging: Paging | None = None
    process: Process | None = None
    container: Container | None = None
