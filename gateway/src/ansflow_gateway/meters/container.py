"""The readings of the container's meters: what isn't limited or isn't told has no series."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ansflow_gateway.domain.container import Container
from ansflow_gateway.domain.system import SystemSnapshot
from ansflow_gateway.meters import declared_host as d
from ansflow_gateway.meters.declaration import Declaration
from ansflow_gateway.meters.instruments import Measurement

Reading = Callable[[SystemSnapshot], Iterable[Measurement]]


def _cpu_time(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.container and snapshot.container.cpu:
        for mode, seconds in snapshot.container.cpu.time_s.items():
            yield Measurement(seconds, {d.CPU_MODE: mode})


def _stalled(snapshot: SystemSnapshot) -> Iterable[Measurement]:
    if snapshot.container:
        for (resource, share), seconds in snapshot.container.stalled_s.items():
            yield Measurement(seconds, {d.RESOURCE: resource, d.STALLED: share})


def _single(pick: Callable[[Container], float | None]) -> Reading:
    def reading(snapshot: SystemSnapshot) -> Iterable[Measurement]:
        value = pick(snapshot.container) if snapshot.container else None
        return () if value is None else (Measurement(value, {}),)

    return reading


def _periods(container: Container) -> int | None:
    return container.cpu.throttling.periods if container.cpu and container.cpu.throttling else None


def _throttled_periods(container: Container) -> int | None:
    return container.cpu.throttling.throttled_periods if container.cpu and container.cpu.throttling else None


def _throttled_s(container: Container) -> float | None:
    return container.cpu.throttling.throttled_s if container.cpu and container.cpu.throttling else None


def _available(container: Container) -> int | None:
    memory = container.memory
    if memory is None or memory.limit is None or memory.working_set is None:
        return None
    # A limit that was lowered takes effect over time.
    return max(0, memory.limit - memory.working_set)


READINGS: Final[Mapping[Declaration, Reading]] = MappingProxyType(
    {
        d.CONTAINER_CPU_TIME: _cpu_time,
        d.CONTAINER_CPU_USAGE: _single(lambda c: c.cpu.usage if c.cpu else None),
        d.CONTAINER_CPU_LIMIT: _single(lambda c: c.cpu.limit if c.cpu else None),
        d.CONTAINER_CPU_PERIODS: _single(_periods),
        d.CONTAINER_THROTTLED_PERIODS: _single(_throttled_periods),
        d.CONTAINER_THROTTLED_TIME: _single(_throttled_s),
        d.CONTAINER_MEMORY_USAGE: _single(lambda c: c.memory.usage if c.memory else None),
        d.CONTAINER_MEMORY_WORKING_SET: _single(lambda c: c.memory.working_set if c.memory else None),
        d.CONTAINER_MEMORY_AVAILABLE: _single(_available),
        d.CONTAINER_MEMORY_LIMIT: _single(lambda c: c.memory.limit if c.memory else None),
        d.CONTAINER_OOM_KILLS: _single(lambda c: c.memory.oom_kills if c.memory else None),
        d.CONTAINER_STALLED: _stalled,
    }
)
"""What each of the container's instruments reads."""
