"""Which mounts are filesystems that fill up, each of them once."""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

LIMIT: Final = 64
"""Most filesystems reported, so that a host of a thousand volumes doesn't make thousands of series."""

ROOT: Final = "/"

VIRTUAL_BUT_REAL: Final = frozenset(
    {
        "zfs",
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "ceph",
        "virtiofs",
        "9p",
        "fuseblk",
        "lustre",
        "glusterfs",
        "bcachefs",
    }
)
"""Types that the kernel lists as `nodev` though they hold files that somebody must make room for."""

READ_ONLY_IMAGES: Final = frozenset({"squashfs", "iso9660", "erofs", "cramfs", "udf"})
"""Types that are full by nature: package images mounted through loop devices, optical discs. An alert on
them would never end. A writable filesystem on a loop device is a real one and stays."""


class Mount(Protocol):
    """What `psutil.disk_partitions()` returns for a mount."""

    @property
    def device(self) -> str:
        """What is mounted."""
        ...

    @property
    def mountpoint(self) -> str:
        """Where."""
        ...

    @property
    def fstype(self) -> str:
        """The filesystem's type."""
        ...


def choose(
    physical: Iterable[Mount], mounts: Iterable[Mount], device_number: Callable[[str], int | None]
) -> list[Mount]:
    """Choose the mounts to report.

    Taken are filesystems on block devices, network and host-shared ones, and whatever is mounted on `/`,
    which in a container is an overlay. Left out are pseudo filesystems, read-only images, single files bound
    into a container (`/etc/hosts`), and all but one mount of each filesystem: `/` first, then the shortest
    path.

    Args:
        physical: Mounts of types that need a device.
        mounts: All mounts, in the order they were made: of two on one mountpoint the later hides the earlier.
        device_number: Tells the number of the device that a mountpoint's filesystem has; None where the
            mountpoint is no directory or can't be looked at.

    Returns:
        At most `LIMIT` mounts, ordered by mountpoint.
    """
    real_types = {mount.fstype for mount in physical} | VIRTUAL_BUT_REAL
    visible = {mount.mountpoint: mount for mount in mounts}
    chosen: dict[str | int, Mount] = {}
    for mount in sorted(
        visible.values(), key=lambda m: (m.mountpoint != ROOT, len(m.mountpoint), m.mountpoint)
    ):
        if mount.mountpoint != ROOT and (mount.fstype not in real_types or mount.fstype in READ_ONLY_IMAGES):
            continue
        number = device_number(mount.mountpoint)
        if number is None:
            continue
        # Subvolumes of one device (btrfs) have numbers of their own, and share its space: the path names
        # them all.
        chosen.setdefault(mount.device if mount.device.startswith("/") else number, mount)
    return sorted(chosen.values(), key=lambda m: m.mountpoint)[:LIMIT]
