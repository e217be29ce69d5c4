"""Every instrument of the gateway, declared before anything records it.

Names follow the semantic conventions where they have one:
https://opentelemetry.io/docs/specs/semconv/system/system-metrics/ and
https://opentelemetry.io/docs/specs/semconv/cicd/cicd-metrics/.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ansflow_gateway.meters import business, declared_gateway, declared_host
from ansflow_gateway.meters.declaration import Declaration as Declaration
from ansflow_gateway.meters.declaration import Kind as Kind

CPU_MODE: Final = "cpu.mode"
MEMORY_STATE: Final = "system.memory.state"
FILESYSTEM_STATE: Final = "system.filesystem.state"
MOUNTPOINT: Final = "system.filesystem.mountpoint"
FILESYSTEM_TYPE: Final = "system.filesystem.type"
DEVICE: Final = "system.device"
DISK_DIRECTION: Final = "disk.io.direction"
INTERFACE: Final = "network.interface.name"
NETWORK_DIRECTION: Final = "network.io.direction"
SERVICE: Final = "service"
CHECK: Final = "check"
STATE: Final = "state"
WINDOW: Final = "window"
EVENT_TYPE: Final = "event_type"
REASON: Final = "reason"

PROBE_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""A millisecond on the same host to a deadline of some seconds."""

_FILESYSTEM: Final = frozenset({DEVICE, MOUNTPOINT, FILESYSTEM_TYPE, FILESYSTEM_STATE})
_DISK: Final = frozenset({DEVICE, DISK_DIRECTION})
_NETWORK: Final = frozenset({INTERFACE, NETWORK_DIRECTION})

CPU_TIME: Final = Declaration(
    "system.cpu.time",
    Kind.OBSERVABLE_COUNTER,
    "s",
    "Time that the logical CPUs spent in each mode, summed over them",
    frozenset({CPU_MODE}),
)
CPU_UTILIZATION: Final = Declaration(
    "system.cpu.utilization",
    Kind.OBSERVABLE_GAUGE,
    "1",
    "Share of the CPUs' time spent in each mode since the sample before; the modes sum to 1",
    frozenset({CPU_MODE}),
)
CPU_LOGICAL_COUNT: Final = Declaration(
    "system.cpu.logical.count", Kind.OBSERVABLE_UPDOWNCOUNTER, "{cpu}", "Number of logical CPUs"
)
MEMORY_USAGE: Final = Declaration(
    "system.memory.usage",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "By",
    "Physical memory in each state: used (total - available), free, cached (what the kernel would give up)",
    frozenset({MEMORY_STATE}),
)
MEMORY_LIMIT: Final = Declaration(
    "system.memory.limit", Kind.OBSERVABLE_UPDOWNCOUNTER, "By", "Physical memory in all"
)
MEMORY_UTILIZATION: Final = Declaration(
    "system.memory.utilization",
    Kind.OBSERVABLE_GAUGE,
    "1",
    "Share of physical memory in each state; the states sum to 1",
    frozenset({MEMORY_STATE}),
)
FILESYSTEM_USAGE: Final = Declaration(
    "system.filesystem.usage",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "By",
    "Space of each real filesystem in each state: used, free (for anybody), reserved (for root)",
    _FILESYSTEM,
)
FILESYSTEM_UTILIZATION: Final = Declaration(
    "system.filesystem.utilization",
    Kind.OBSERVABLE_GAUGE,
    "1",
    "Share of the space open to unprivileged users that is used: 1 is when their writes fail, as df has it",
    _FILESYSTEM,
)
DISK_IO: Final = Declaration(
    "system.disk.io",
    Kind.OBSERVABLE_COUNTER,
    "By",
    "Bytes read from and written to whole block devices",
    _DISK,
)
DISK_OPERATIONS: Final = Declaration(
    "system.disk.operations", Kind.OBSERVABLE_COUNTER, "{operation}", "Reads and writes completed", _DISK
)
DISK_IO_TIME: Final = Declaration(
    "system.disk.io_time",
    Kind.OBSERVABLE_COUNTER,
    "s",
    "Time that the device had I/O in flight",
    frozenset({DEVICE}),
)
NETWORK_IO: Final = Declaration(
    "system.network.io", Kind.OBSERVABLE_COUNTER, "By", "Bytes received and sent, loopback left out", _NETWORK
)
NETWORK_ERRORS: Final = Declaration(
    "system.network.errors",
    Kind.OBSERVABLE_COUNTER,
    "{error}",
    "Errors while receiving and sending",
    _NETWORK,
)
NETWORK_DROPPED: Final = Declaration(
    "system.network.packet.dropped",
    Kind.OBSERVABLE_COUNTER,
    "{packet}",
    "Packets dropped while receiving and sending",
    _NETWORK,
)
HEALTH_STATUS: Final = Declaration(
    "ansflow.health_check.status",
    Kind.OBSERVABLE_GAUGE,
    "",  # with "1" the Prometheus name would end in _ratio
    "Whether a service's check passes (1) or not (0); the check `overall` is the service as a whole",
    frozenset({SERVICE, CHECK}),
)
HEALTH_DURATION: Final = Declaration(
    "ansflow.health_check.duration",
    Kind.HISTOGRAM,
    "s",
    "Time that a probe of a service's health took, failed ones included",
    frozenset({SERVICE}),
    PROBE_BOUNDS,
)
HEALTH_STATE: Final = Declaration(
    "ansflow.health_check.state",
    Kind.OBSERVABLE_GAUGE,
    "",
    "Whether a service counts as up (1) or down (0), which single probes don't change",
    frozenset({SERVICE}),
)
HEALTH_TRANSITIONS: Final = Declaration(
    "ansflow.health_check.transitions",
    Kind.OBSERVABLE_COUNTER,
    "{transition}",
    "Changes of a service's state, by the state it went to: up, down",
    frozenset({SERVICE, STATE}),
)
AVAILABILITY: Final = Declaration(
    "ansflow.availability",
    Kind.OBSERVABLE_GAUGE,
    "1",
    "Share of a service's probes within the window (1h, 24h, 30d) that passed",
    frozenset({SERVICE, WINDOW}),
)
OBJECTIVE: Final = Declaration(
    "ansflow.availability.objective",
    Kind.OBSERVABLE_GAUGE,
    "1",
    "Share of a service's probes that are to pass: --availability-objective",
)
ERROR_BUDGET: Final = Declaration(
    "ansflow.availability.error_budget",
    Kind.OBSERVABLE_GAUGE,
    "1",
    "Share of the failures that the objective allows in the window which is left; below 0: overspent",
    frozenset({SERVICE, WINDOW}),
)
EVENTS_ACCEPTED: Final = Declaration(
    "ansflow.gateway.events.accepted",
    Kind.OBSERVABLE_COUNTER,
    "{event}",
    "Events taken in for the first time",
    frozenset({EVENT_TYPE}),
)
EVENTS_DUPLICATE: Final = Declaration(
    "ansflow.gateway.events.duplicate",
    Kind.OBSERVABLE_COUNTER,
    "{event}",
    "Events that were known already, and changed nothing",
    frozenset({EVENT_TYPE}),
)
EVENTS_REJECTED: Final = Declaration(
    "ansflow.gateway.events.rejected",
    Kind.OBSERVABLE_COUNTER,
    "{event}",
    "Events, and requests without a readable event, that were refused",
    frozenset({REASON}),
)
EVENTS_UNSUPPORTED: Final = Declaration(
    "ansflow.gateway.events.unsupported",
    Kind.OBSERVABLE_COUNTER,
    "{event}",
    "Valid events of kinds that say nothing the gateway uses",
    frozenset({EVENT_TYPE}),
)
EVENTS_SHED: Final = Declaration(
    "ansflow.gateway.events.shed",
    Kind.OBSERVABLE_COUNTER,
    "{event}",
    "Events that weren't taken since the store couldn't take them: their sender was told to retry",
    frozenset({REASON}),
)

EVENTS_SPOOLED: Final = Declaration(
    "ansflow.gateway.events.spooled",
    Kind.OBSERVABLE_COUNTER,
    "{event}",
    "Events of webhooks that were put aside for a store that couldn't take them, to be taken later",
)

CATALOGUE: Final[Mapping[str, Declaration]] = MappingProxyType(
    {
        declaration.name: declaration
        for declaration in (
            CPU_TIME,
            CPU_UTILIZATION,
            CPU_LOGICAL_COUNT,
            MEMORY_USAGE,
            MEMORY_LIMIT,
            MEMORY_UTILIZATION,
            FILESYSTEM_USAGE,
            FILESYSTEM_UTILIZATION,
            DISK_IO,
            DISK_OPERATIONS,
            DISK_IO_TIME,
            NETWORK_IO,
            NETWORK_ERRORS,
            NETWORK_DROPPED,
            *declared_host.DECLARATIONS,
            HEALTH_STATUS,
            HEALTH_DURATION,
            HEALTH_STATE,
            HEALTH_TRANSITIONS,
            AVAILABILITY,
            OBJECTIVE,
            ERROR_BUDGET,
            EVENTS_ACCEPTED,
            EVENTS_DUPLICATE,
            EVENTS_REJECTED,
            EVENTS_SPOOLED,
            EVENTS_UNSUPPORTED,
            EVENTS_SHED,
            *declared_gateway.DECLARATIONS,
            *(meter.declaration for meter in business.METERS),
        )
    }
)
"""All declarations by name."""
