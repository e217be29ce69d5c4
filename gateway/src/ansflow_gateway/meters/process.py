"""The readings of paging's and the gateway's own process' meters."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ansflow_gateway.domain.system import Process, SystemSnapshot
from ansflow_gateway.meters import declared_host as d
from ansflow_gateway.meters.declaration import Declaration
from ansflow_gateway.meters.instruments import Measurement

Reading = Callable[[SystemSnapshot], Iterable[Measurement]]


def _paging_usage(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for swap in snapshot.paging.swap if snapshot.paging else ():
        yield Measurement(swap.used, {d.DEVICE: swap.device, d.PAGING_STATE: "used"})
        yield Measurement(swap.size - swap.used, {d.DEVICE: swap.device, d.PAGING_STATE: "free"})


def _paging_utilization(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    for swap in snapshot.paging.swap if snapshot.paging else ():
        if swap.size > 0:
            used = swap.used / swap.size
            yield Measurement(used, {d.DEVICE: swap.device, d.PAGING_STATE: "used"})
            yield Measurement(1 - used, {d.DEVICE: swap.device, d.PAGING_STATE: "free"})


def _paging_operations(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    paging = snapshot.paging
    if paging and (paging.swap or paging.swapped_in or paging.swapped_out):
        yield Measurement(paging.swapped_in, {d.PAGING_DIRECTION: "in"})
        yield Measurement(paging.swapped_out, {d.PAGING_DIRECTION: "out"})


def _paging_faults(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.paging:
        yield Measurement(snapshot.paging.major_faults, {d.FAULT_TYPE: "major"})
        yield Measurement(snapshot.paging.minor_faults, {d.FAULT_TYPE: "minor"})


def _cpu_time(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.process:
        yield Measurement(snapshot.process.user_s, {d.CPU_MODE: "user"})
        yield Measurement(snapshot.process.system_s, {d.CPU_MODE: "system"})


def _context_switches(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    process = snapshot.process
    if process and process.voluntary_switches is not None and process.involuntary_switches is not None:
        yield Measurement(process.voluntary_switches, {d.SWITCH_TYPE: "voluntary"})
        yield Measurement(process.involuntary_switches, {d.SWITCH_TYPE: "involuntary"})


def _single(pick: Callable[[Process], float | None]) -> Reading:
    def reading(snapshot: SystemSnapshot) -> Iterable[Measurement]:
        value = pick(snapshot.process) if snapshot.process else None
        return () if value is None else (Measurement(value, {}),)

    return reading


READINGS: Final[Mapping[Declaration, Reading]] = MappingProxyType(
    {
        d.PAGING_USAGE: _paging_usage,
        d.PAGING_UTILIZATION: _paging_utilization,
        d.PAGING_OPERATIONS: _paging_operations,
        d.PAGING_FAULTS: _paging_faults,
        d.PROCESS_CPU_TIME: _cpu_time,
        d.PROCESS_MEMORY_USAGE: _single(lambda process: process.resident),
        d.PROCESS_MEMORY_VIRTUAL: _single(lambda process: process.virtual),
        d.PROCESS_THREADS: _single(lambda process: process.threads),
        d.PROCESS_FILE_DESCRIPTORS: _single(lambda process: process.file_descriptors),
        d.PROCESS_CONTEXT_SWITCHES: _context_switches,
    }
)
"""What each of these instruments reads."""
