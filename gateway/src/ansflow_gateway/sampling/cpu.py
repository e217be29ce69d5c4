"""Processor time and its shares, from differences that are taken here.

`psutil.cpu_percent` keeps its baseline per thread and answers 0.0 in a new one; `cpu_times` is a plain
reading.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from ansflow_gateway.domain.system import Cpu

MODES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "user": ("user",),
        "nice": ("nice",),
        "system": ("system",),
        "iowait": ("iowait",),
        "interrupt": ("irq", "softirq", "interrupt"),
        "steal": ("steal",),
        "idle": ("idle",),
    }
)
"""psutil's fields that make up each `cpu.mode`. `guest` and `guest_nice` are left out: Linux counts them in
`user` and `nice` already. Other platforms have fewer fields; a mode without any is not reported."""


class CpuReading(Protocol):
    """What `psutil.cpu_times()` returns: seconds by field; which fields there are depends on the platform."""

    def _asdict(self) -> dict[str, float]: ...


class CpuMeter:
    """Turns successive readings of processor time into totals and shares.

    The kernel's `iowait` and `steal` may go backwards a little. A counter that decreases reads as a reset,
    and a rate over it as an enormous burst, so a decrease counts as no time passed.

    Args:
        first: The reading that the first shares are taken against.
    """

    def __init__(self, first: CpuReading) -> None:
        self._before = _by_mode(first)
        self._total = dict(self._before)

    def read(self, reading: CpuReading, logical_count: int) -> Cpu:
        """Take in the next reading.

        Args:
            reading: The present processor times.
            logical_count: Number of logical processors.

        Returns:
            Totals since boot, and shares of the time since the reading before.
        """
        now = _by_mode(reading)
        spent = {mode: max(0.0, now[mode] - self._before.get(mode, 0.0)) for mode in now}
        self._before = now
        for mode, seconds in spent.items():
            self._total[mode] = self._total.get(mode, 0.0) + seconds
        passed = sum(spent.values())
        return Cpu(
            time_s=MappingProxyType(dict(self._total)),
            utilization=MappingProxyType({m: s / passed for m, s in spent.items()}) if passed > 0 else None,
            logical_count=logical_count,
        )


def _by_mode(reading: CpuReading) -> dict[str, float]:
    fields = reading._asdict()
    return {
        mode: sum(fields.get(name, 0.0) for name in names)
        for mode, names in MODES.items()
        if any(name in fields for name in names)
    }
