"""The declarations of paging, the gateway's process, and its container; part of the catalogue.

Names follow the semantic conventions where they have one:
https://opentelemetry.io/docs/specs/semconv/system/system-metrics/,
https://opentelemetry.io/docs/specs/semconv/system/process-metrics/ and
https://opentelemetry.io/docs/specs/semconv/system/container-metrics/. They have none for a container's
limits (but Kubernetes'), throttling, kills and pressure: those are `ansflow.container.*`.
"""

from typing import Final

from ansflow_gateway.meters.declaration import Declaration, Kind

CPU_MODE: Final = "cpu.mode"
DEVICE: Final = "system.device"
PAGING_STATE: Final = "system.paging.state"
PAGING_DIRECTION: Final = "system.paging.direction"
FAULT_TYPE: Final = "system.paging.fault.type"
SWITCH_TYPE: Final = "process.context_switch.type"
RESOURCE: Final = "resource"
STALLED: Final = "stalled"

PAGING_USAGE: Final = Declaration(
    "system.paging.usage",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "By",
    "Swap in each state: used, free; no series where swapping is off",
    frozenset({DEVICE, PAGING_STATE}),
)
PAGING_UTILIZATION: Final = Declaration(
    "system.paging.utilization",
    Kind.OBSERVABLE_GAUGE,
    "1",
    "Share of a swap device in each state; the states sum to 1",
    frozenset({DEVICE, PAGING_STATE}),
)
PAGING_OPERATIONS: Final = Declaration(
    "system.paging.operations",
    Kind.OBSERVABLE_COUNTER,
    "{operation}",
    "Pages swapped in and out; no series where swapping is off and never was on",
    frozenset({PAGING_DIRECTION}),
)
PAGING_FAULTS: Final = Declaration(
    "system.paging.faults",
    Kind.OBSERVABLE_COUNTER,
    "{fault}",
    "Page faults, major (with I/O) and minor",
    frozenset({FAULT_TYPE}),
)
PROCESS_CPU_TIME: Final = Declaration(
    "process.cpu.time",
    Kind.OBSERVABLE_COUNTER,
    "s",
    "Processor time of the gateway's own process",
    frozenset({CPU_MODE}),
)
PROCESS_MEMORY_USAGE: Final = Declaration(
    "process.memory.usage", Kind.OBSERVABLE_UPDOWNCOUNTER, "By", "Physical memory of the gateway's process"
)
PROCESS_MEMORY_VIRTUAL: Final = Declaration(
    "process.memory.virtual", Kind.OBSERVABLE_UPDOWNCOUNTER, "By", "Address space of the gateway's process"
)
PROCESS_THREADS: Final = Declaration(
    "process.thread.count", Kind.OBSERVABLE_UPDOWNCOUNTER, "{thread}", "Threads of the gateway's process"
)
PROCESS_FILE_DESCRIPTORS: Final = Declaration(
    "process.unix.file_descriptor.count",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "{file_descriptor}",
    "File descriptors that the gateway's process has open",
)
PROCESS_CONTEXT_SWITCHES: Final = Declaration(
    "process.context_switches",
    Kind.OBSERVABLE_COUNTER,
    "{context_switch}",
    "Context switches of the gateway's process: voluntary (it waited), involuntary (its time was up)",
    frozenset({SWITCH_TYPE}),
)
CONTAINER_CPU_TIME: Final = Declaration(
    "container.cpu.time",
    Kind.OBSERVABLE_COUNTER,
    "s",
    "Processor time of the control group that the gateway runs in; none of container.* outside of one",
    frozenset({CPU_MODE}),
)
CONTAINER_CPU_USAGE: Final = Declaration(
    "container.cpu.usage",
    Kind.OBSERVABLE_GAUGE,
    "{cpu}",
    "CPUs that the container used on average since the sample before",
)
CONTAINER_CPU_LIMIT: Final = Declaration(
    "ansflow.container.cpu.limit",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "{cpu}",
    "CPUs that the container may use; no series without a limit",
)
CONTAINER_CPU_PERIODS: Final = Declaration(
    "ansflow.container.cpu.periods",
    Kind.OBSERVABLE_COUNTER,
    "{period}",
    "Enforcement periods of the CPU limit in which the container wanted to run",
)
CONTAINER_THROTTLED_PERIODS: Final = Declaration(
    "ansflow.container.cpu.throttled_periods",
    Kind.OBSERVABLE_COUNTER,
    "{period}",
    "Of ansflow.container.cpu.periods, those in which the CPU limit stopped the container",
)
CONTAINER_THROTTLED_TIME: Final = Declaration(
    "ansflow.container.cpu.throttled_time",
    Kind.OBSERVABLE_COUNTER,
    "s",
    "Time for which the CPU limit stopped the container, summed over CPUs",
)
CONTAINER_MEMORY_USAGE: Final = Declaration(
    "container.memory.usage",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "By",
    "Memory that the container is charged for, page cache included",
)
CONTAINER_MEMORY_WORKING_SET: Final = Declaration(
    "container.memory.working_set",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "By",
    "The container's memory without page cache that was not in use lately",
)
CONTAINER_MEMORY_AVAILABLE: Final = Declaration(
    "container.memory.available",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "By",
    "The memory limit less the working set; no series without a limit",
)
CONTAINER_MEMORY_LIMIT: Final = Declaration(
    "ansflow.container.memory.limit",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "By",
    "Memory that the container may use; no series without a limit",
)
CONTAINER_OOM_KILLS: Final = Declaration(
    "ansflow.container.memory.oom_kills",
    Kind.OBSERVABLE_COUNTER,
    "{kill}",
    "Processes of the container that were killed for want of memory",
)
CONTAINER_STALLED: Final = Declaration(
    "ansflow.container.pressure.stalled",
    Kind.OBSERVABLE_COUNTER,
    "s",
    "Time in which some or all (full) of the container's tasks waited for a resource: cpu, memory, io",
    frozenset({RESOURCE, STALLED}),
)

DECLARATIONS: Final = (
    PAGING_USAGE,
    PAGING_UTILIZATION,
    PAGING_OPERATIONS,
    PAGING_FAULTS,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    PROCESS_MEMORY_VIRTUAL,
    PROCESS_THREADS,
    PROCESS_FILE_DESCRIPTORS,
    PROCESS_CONTEXT_SWITCHES,
    CONTAINER_CPU_TIME,
    CONTAINER_CPU_USAGE,
    CONTAINER_CPU_LIMIT,
    CONTAINER_CPU_PERIODS,
    CONTAINER_THROTTLED_PERIODS,
    CONTAINER_THROTTLED_TIME,
    CONTAINER_MEMORY_USAGE,
    CONTAINER_MEMORY_WORKING_SET,
    CONTAINER_MEMORY_AVAILABLE,
    CONTAINER_MEMORY_LIMIT,
    CONTAINER_OOM_KILLS,
    CONTAINER_STALLED,
)
"""All of them, in the order of the documentation."""
