"""One gateway a file: an advisory lock beside it, which ends with the process that holds it."""

import contextlib
import fcntl
import os
from pathlib import Path

from ansflow_gateway.errors import StoreRefusedError


class FileLock:
    """Holds the lock of a file from `acquire` to `release`.

    The lock is on a file of its own, `<name>.lock`, that is never deleted: who deletes a lock file lets two
    processes lock two files of one name.

    Args:
        path: The file to be locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StoreRefusedError: Another process holds it, or its file can't be written.
        """
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreRefusedError(
                f"the store {self._path} can't be locked: {error.strerror} ({lock}); "
                "name a file in an existing directory that the gateway may write to"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreRefusedError(
                f"the store {self._path} is held by another gateway (process {holder}); stop that one, "
                "or give this one a store of its own: several gateways share a PostgreSQL database"
            ) from error
        self._descriptor = descriptor
        # For the message to others alone; a disk that is full is no reason not to serve what is there.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
