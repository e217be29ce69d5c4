"""Swap and page faults, from Linux' own files: psutil tells neither faults nor devices.

Source: https://docs.kernel.org/filesystems/proc.html
"""

from pathlib import Path
from typing import Final

from ansflow_gateway.domain.system import Paging, SwapDevice

_KIB: Final = 1024


def read_paging(proc: Path) -> Paging | None:
    """Read what the memory management did.

    Args:
        proc: Where procfs is mounted.

    Returns:
        The reading; None where the kernel doesn't tell (other platforms, and some sandboxes).
    """
    try:
        text = (proc / "vmstat").read_text()
    except OSError:
        return None
    counted = dict(line.split(maxsplit=1) for line in text.splitlines())
    if not counted.keys() >= {"pgfault", "pgmajfault"}:
        return None
    faults, major = int(counted["pgfault"]), int(counted["pgmajfault"])
    return Paging(
        swap=_swap_devices(proc),
        swapped_in=int(counted.get("pswpin", 0)),
        swapped_out=int(counted.get("pswpout", 0)),
        major_faults=major,
        # The total includes the major ones. Both are sums over processors that are read at different
        # moments: a difference may be off by some faults, and must not be below zero.
        minor_faults=max(0, faults - major),
    )


def _swap_devices(proc: Path) -> tuple[SwapDevice, ...]:
    try:
        lines = (proc / "swaps").read_text().splitlines()[1:]
    except OSError:
        return ()
    # Blanks within a path are escaped there.
    rows = (line.split() for line in lines)
    return tuple(SwapDevice(row[0], int(row[2]) * _KIB, int(row[3]) * _KIB) for row in rows if len(row) >= 4)
