"""Files that are read again when they change, without a restart."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

_LOG: Final = logging.getLogger(__name__)

CHECK_INTERVAL_S: Final = 1.0
"""Least time between two looks at a file, in seconds."""

MAX_FILE_BYTES: Final = 1024 * 1024
"""Largest file read, in bytes."""

ValueT = TypeVar("ValueT")


class Reloaded(Generic[ValueT]):
    """A value made of files, always of their latest good content.

    They are looked at when the value is asked for, at most once in `CHECK_INTERVAL_S`. Files that can't be
    read or used any more, as happens while they are being replaced, leave the last good value; that is logged
    once.

    Args:
        paths: The files; replaced by renaming, by a symbolic link or in place, all of which is noticed.
        make: Makes the value of their contents; raises ValueError, whose text may not hold them.
        clock: Present time in seconds, monotonic.

    Raises:
        OSError: They can't be read now.
        ValueError: They can't be used now.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        make: Callable[..., ValueT],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = paths
        self._make = make
        self._clock = clock
        self._looked_at = clock()
        self._failing = False
        self._seen = [_identity(path) for path in paths]
        self._value = make(*(_read(path) for path in paths))

    def __call__(self) -> ValueT:
        """Give the present value."""
        now = self._clock()
        if now - self._looked_at >= CHECK_INTERVAL_S:
            self._looked_at = now
            self._look()
        return self._value

    def _look(self) -> None:
        try:
            # Before the content: a change in between is then seen at the next look.
            seen = [_identity(path) for path in self._paths]
            if seen == self._seen:
                return
            self._value = self._make(*(_read(path) for path in self._paths))
        except (OSError, ValueError) as error:
            if not self._failing:
                _LOG.warning(
                    "what was read before stays valid", extra={"paths": self._named, "error": str(error)}
                )
            self._failing = True
            return
        self._seen, self._failing = seen, False
        _LOG.info("changed files were read again", extra={"paths": self._named})

    @property
    def _named(self) -> str:
        return ", ".join(map(str, self._paths))


def _identity(path: Path) -> tuple[int, int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_dev, found.st_size


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return content
