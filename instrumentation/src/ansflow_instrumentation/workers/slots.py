"""Numbered slots, each held by one process at a time, on all Unix systems and without a daemon.

A slot is a byte of a file that its process keeps locked (POSIX record locks: they are not inherited by a
forked child, and the kernel lets them go however the process ends). The file carries a random UUID, so a
slot's identity is exactly as wide as its locks: two containers that do not see each other's files cannot
hold the same one, whatever their host names are, and two processes that see the same file cannot hold it at
the same time.
"""

import contextlib
import hashlib
import logging
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansflow_instrumentation.workers.totals import KEPT_FOR_S

if sys.platform != "win32":
    import fcntl

__all__ = ["Slot", "Slots", "directory", "key_of", "remove_abandoned"]

MAX_SLOTS = 4096
ABANDONED_AFTER_S = 7 * 24 * 3600.0
"""After which files of slots that nobody holds are removed."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slot:
    """A slot that this process holds.

    Attributes:
        number: From 0.
        instance_id: A UUID (version 5) that belongs to this slot for good.
        files: Where the slot's files begin: `<files>.<name>`, kept from holder to holder.
    """

    number: int
    instance_id: str
    files: Path


class Slots:
    """The slots of a group of processes.

    Args:
        path: The group's file; it is created where there is none.

    Raises:
        OSError: If the file can be neither opened nor created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open_or_create(path)
        # Never closed: with a descriptor, POSIX gives up all of a process's locks on the file.
        self._uuid = uuid.UUID(os.pread(self._file, 36, 0).decode())

    @property
    def silence(self) -> Path:
        """A file that says when the Collector was last found silent."""
        return self._path.with_suffix(".silent")

    def hold(self, numbers: Sequence[int] = range(MAX_SLOTS)) -> Slot | None:
        """Take the first free slot, until the process ends.

        Args:
            numbers: To choose from, in this order.

        Returns:
            The slot; None if all are taken.
        """
        for number in numbers:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 64 + number)
            except OSError:
                continue
            with contextlib.suppress(OSError):
                os.utime(self._file)
            files = self._path.with_name(f"{self._path.stem}-{number}")
            return Slot(number, str(uuid.uuid5(self._uuid, str(number))), files)
        return None


def key_of(*parts: str) -> str:
    """Name a group.

    Args:
        parts: What its processes have in common.

    Returns:
        A name for a file.
    """
    # Arguments and folders are bytes to the system, not always UTF-8.
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:20]


def directory(configured: str | None) -> Path | None:
    """Find, or make, this user's directory for slots.

    Args:
        configured: The user's choice of where; empty for nowhere, None for the default: in memory
            (`/dev/shm`, which containers have even where their root is read-only), else where temporary files
            are.

    Returns:
        The directory, which only this user can read and write; None where there is none.
    """
    if sys.platform == "win32" or configured == "":
        return None
    name = f"ansflow-{os.geteuid()}"
    parents = [Path(configured)] if configured else [Path("/dev/shm"), _temporary()]  # noqa: S108 # owner and mode are checked
    candidates = [parent / name for parent in parents]
    for candidate in candidates:
        try:
            candidate.mkdir(mode=0o700, parents=bool(configured), exist_ok=True)
            status = candidate.lstat()
        except OSError:
            continue
        if status.st_uid == os.geteuid() and not status.st_mode & 0o077 and os.access(candidate, os.W_OK):
            return candidate
    tried = ", ".join(map(str, candidates))
    _logger.warning("No directory for the workers' slots (%s): ids are random", tried)
    return None


def remove_abandoned(folder: Path) -> None:
    """Remove the files of groups that have not run for a week, and totals that nobody would carry on.

    Args:
        folder: From `directory`.
    """
    for path in _old(folder, "*.json*", KEPT_FOR_S):  # with drafts of those that were killed
        with contextlib.suppress(OSError):
            path.unlink()
    for path in _old(folder, "*.slots", ABANDONED_AFTER_S):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for file in (*folder.glob(f"{path.stem}-*"), path.with_suffix(".silent"), path):
                    file.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


def _old(folder: Path, pattern: str, age_s: float) -> Iterator[Path]:
    latest = time.time() - age_s
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < latest:
                yield path


def _temporary() -> Path:
    import tempfile

    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path("/tmp")  # noqa: S108 # not writable either, as the caller will find


def _open_or_create(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    # Whole at once, so that nobody reads half of it; whoever is second takes the first one's.
    draft = path.with_name(f"{path.name}.{uuid.uuid4()}")
    draft.touch(mode=0o600)
    draft.write_text(str(uuid.uuid4()))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return os.open(path, flags)
