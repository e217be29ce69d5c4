"""The status page's figures, out of the host's snapshot and the table."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from ansflow_gateway.domain.events import DeploymentKind, RunResult
from ansflow_gateway.domain.system import SystemSnapshot
from ansflow_gateway.meters import business as b
from ansflow_gateway.meters.points import HistogramPoint
from ansflow_gateway.meters.series import TableMeter
from ansflow_gateway.meters.table import Table
from ansflow_gateway.web.status.source import Figure, Trend, Unit
from ansflow_gateway.web.status.wording import count, size

_IDLE: Final = frozenset({"idle", "iowait"})
"""Modes in which a processor does nothing: waiting for a disk isn't work."""

_STATE: Final = b.RUN_DURATION.labels.index(b.RUN_STATE)
_RESULT: Final = b.RUN_DURATION.labels.index(b.RESULT)
_KIND: Final = b.DEPLOYMENTS.labels.index("kind")
_OUTCOME: Final = b.INTEGRATION_CALLS.labels.index("status")


def system_figures(snapshot: SystemSnapshot | None) -> Iterator[Figure]:
    """Make the figures of the host, and of the container and the process where there is something to tell.

    Args:
        snapshot: The latest; None where there is none of late.

    Yields:
        Those that could be read.
    """
    if snapshot is None:
        return
    if snapshot.cpu and snapshot.cpu.utilization is not None:
        # Clocks of virtual machines jump: a share a little beyond its bounds is one of them.
        idle = sum(share for mode, share in snapshot.cpu.utilization.items() if mode in _IDLE)
        busy = min(max(1 - idle, 0.0), 1.0)
        number = snapshot.cpu.logical_count
        yield _share("cpu", "CPU", busy, f"{number} processor{'s' if number > 1 else ''}")
    if (memory := snapshot.memory) and memory.total:
        yield _share(
            "memory", "Memory", memory.used / memory.total, f"{size(memory.used)} of {size(memory.total)}"
        )
    if sized := [each for each in snapshot.filesystems if each.used + each.free]:
        fullest = max(sized, key=lambda each: each.used / (each.used + each.free))
        full = fullest.used / (fullest.used + fullest.free)
        yield _share(
            "filesystem", "Fullest filesystem", full, f"{fullest.mountpoint}, {size(fullest.free)} free"
        )
    if disks := snapshot.disks:
        yield _sum("disk.read", "Disk reads", sum(each.read_bytes for each in disks), Unit.BYTES)
        yield _sum("disk.write", "Disk writes", sum(each.write_bytes for each in disks), Unit.BYTES)
    if interfaces := snapshot.interfaces:
        yield _sum("net.receive", "Network in", sum(each.received_bytes for each in interfaces), Unit.BYTES)
        yield _sum("net.transmit", "Network out", sum(each.sent_bytes for each in interfaces), Unit.BYTES)
    if process := snapshot.process:
        detail = f"{process.threads} threads"
        yield Figure("process.memory", "Gateway's memory", process.resident, Unit.BYTES, detail=detail)
        seconds = process.user_s + process.system_s
        yield Figure("process.cpu", "Gateway's CPU", seconds, Unit.SECONDS, Trend.RATE)


def business_figures(table: Table) -> Iterator[Figure]:
    """Make the figures of the platform. Anybody may call it: the table can be read from any thread.

    Args:
        table: The aggregates of the events.

    Yields:
        Those of which there is something to tell, the number of runs always.
    """
    ended: dict[str, int] = {}
    for series in table.series(b.RUN_DURATION):
        if series.labels[_STATE] == b.EXECUTING and isinstance(series.point, HistogramPoint):
            result = series.labels[_RESULT]
            ended[result] = ended.get(result, 0) + series.point.count
    total = sum(ended.values())
    yield _sum("runs", "Runs ended", total, Unit.COUNT)
    # As the dashboards and the rules have it: who cancels or skips a run says nothing of how good it is.
    judged = total - sum(ended.get(result, 0) for result in (RunResult.CANCELLATION, RunResult.SKIP))
    if judged:
        share = ended.get(RunResult.SUCCESS, 0) / judged
        yield _share("runs.success", "Runs succeeded", share, f"of {count(judged)}")
    yield Figure("runs.active", "Runs under way", _total(table, b.RUN_ACTIVE), Unit.COUNT)
    yield Figure("projects", "Active projects", _total(table, b.ACTIVE_PROJECTS), Unit.COUNT)
    workers = _total(table, b.WORKERS)
    if workers:
        busy = _total(table, b.WORKERS, lambda labels: labels == ("busy",))
        yield Figure(
            "workers", "Workers busy", busy, Unit.COUNT, detail=f"of {count(workers)}", ceiling=workers
        )
    if activity := _total(table, b.USER_ACTIVITY):
        yield _sum("activity", "User actions", activity, Unit.COUNT)
    if calls := _total(table, b.INTEGRATION_CALLS):
        good = _total(table, b.INTEGRATION_CALLS, lambda labels: labels[_OUTCOME] == "success")
        yield _sum("calls", "Integration calls", calls, Unit.COUNT)
        yield _share("calls.success", "Calls succeeded", good / calls, f"of {count(calls)}")
    if table.series(b.WEBSOCKET_CONNECTIONS):
        yield Figure("websockets", "WebSockets open", _total(table, b.WEBSOCKET_ACTIVE), Unit.COUNT)
    if deployments := _total(table, b.DEPLOYMENTS, lambda labels: labels[_KIND] == DeploymentKind.DEPLOYED):
        yield _sum("deployments", "Deployments", deployments, Unit.COUNT)


def counted_figures(accepted: int, duplicates: int) -> Sequence[Figure]:
    """Make the figures of what was taken in since the start.

    Args:
        accepted: Events taken in for the first time.
        duplicates: Events that were known already.

    Returns:
        The figures.
    """
    return (
        _sum("accepted", "Events taken in", accepted, Unit.COUNT),
        _sum("duplicates", "Duplicates", duplicates, Unit.COUNT),
    )


def _share(key: str, label: str, value: float, detail: str) -> Figure:
    return Figure(key, label, value, Unit.RATIO, detail=detail, ceiling=1)


def _sum(key: str, label: str, value: float, unit: Unit) -> Figure:
    return Figure(key, label, value, unit, Trend.RATE)


def _total(table: Table, meter: TableMeter, wanted: Callable[[tuple[str, ...]], bool] | None = None) -> float:
    return sum(
        series.point
        for series in table.series(meter)
        if not isinstance(series.point, HistogramPoint) and (wanted is None or wanted(series.labels))
    )
