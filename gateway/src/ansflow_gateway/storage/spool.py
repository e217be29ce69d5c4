"""Where webhooks wait when the store doesn't take them: their senders don't send again.

A spool is a directory of segments, `<number>.spool`. A segment is a magic, and records: length and CRC-32 of
the payload, both 32 bits little-endian, then the payload, an encoded event. A record is on the disk before
its `append` returns. Segments go into the store oldest first, and each is deleted when all of it is there; a
crash before that repeats a part, which the store knows.
"""

import asyncio
import logging
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import EventStore
from ansflow_gateway.errors import OverloadedError, StoreRefusedError, StoreUnavailableError
from ansflow_gateway.storage.file_lock import FileLock
from ansflow_gateway.storage.records import decode_event, make_record

SEGMENT_BYTES: Final = 4 << 20
"""Size at which a segment is followed by the next."""

BATCH: Final = 500
"""Events that go into the store in one call."""

RETRY_S: Final = (0.2, 5.0)
"""Seconds between attempts to give events to the store: at first, and at most."""

_MAGIC: Final = b"ANSFSP1\n"
_HEADER: Final = struct.Struct("<II")
_LOGGER: Final = logging.getLogger(__name__)


class SpoolFullError(StoreUnavailableError):
    """The spool has reached its quota; nothing was written."""


@dataclass(slots=True)
class _Segment:
    """A file of the spool: its path, size up to the last whole record, and how many there are."""

    path: Path
    size: int
    events: int
    damaged: bool = False


class Spool:
    """Keeps events on the disk until the store takes them. One task at a time drains; any may append.

    Args:
        directory: Where; it is made if there is none.
        quota_bytes: Most bytes of all segments.
    """

    def __init__(self, directory: Path, quota_bytes: int) -> None:
        self._directory = directory
        self._quota_bytes = quota_bytes
        self._lock = FileLock(directory.absolute() / "spool")
        self._writing = asyncio.Lock()
        self._filled = asyncio.Event()
        self._segments: list[_Segment] = []
        self._next = 1
        self._descriptor: int | None = None
        self.damaged = 0
        """Segments that ended in, or had, something that isn't a record; what follows it was skipped."""

    @property
    def pending(self) -> int:
        """Events that wait."""
        return sum(segment.events for segment in self._segments)

    @property
    def pending_bytes(self) -> int:
        """Bytes that they take."""
        return sum(segment.size for segment in self._segments)

    def open(self) -> None:
        """Find what an earlier process left.

        Raises:
            StoreRefusedError: The directory can't be used, or another gateway uses it.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreRefusedError(f"the spool {self._directory} can't be made: {error.strerror}") from error
        self._lock.acquire()
        try:
            for path in sorted(self._directory.glob("*.spool"), key=_number):
                self._segments.append(self._inspect(path))
                self._next = _number(path) + 1
        except OSError as error:
            self._lock.release()
            raise StoreRefusedError(f"the spool {self._directory} can't be read: {error.strerror}") from error
        if self.pending:
            self._filled.set()

    def close(self) -> None:
        """Release the directory; what waits stays there."""
        self._end_segment()
        self._lock.release()

    async def append(self, events: Sequence[Event]) -> None:
        """Put events on the disk.

        Args:
            events: Valid events.

        Raises:
            SpoolFullError: The quota doesn't allow it.
            StoreUnavailableError: They can't be written.
        """
        payloads = [make_record(event)[2] for event in events]
        data = b"".join(_HEADER.pack(len(payload), crc32(payload)) + payload for payload in payloads)
        # Shielded: a caller who is cancelled must not let the next one write into the middle of this.
        await asyncio.shield(self._append(data, len(payloads)))

    async def _append(self, data: bytes, events: int) -> None:
        async with self._writing:
            if self.pending_bytes + len(data) + len(_MAGIC) > self._quota_bytes:
                raise SpoolFullError(
                    f"the spool {self._directory} holds {self.pending_bytes} of {self._quota_bytes} bytes, "
                    f"and {len(data)} more don't fit"
                )
            await asyncio.to_thread(self._write, data, events)
        self._filled.set()

    async def run(self, store: EventStore) -> None:
        """Give events to the store whenever there are some, until cancelled.

        Args:
            store: Takes them.
        """
        while True:
            await self._filled.wait()
            self._filled.clear()
            await self.drain(store)

    async def drain(self, store: EventStore) -> int:
        """Give all events that wait to the store, in order; while it refuses, try again.

        Args:
            store: Takes them.

        Returns:
            How many it took; those it knew already are among them.
        """
        moved = 0
        while self._segments:
            async with self._writing:
                segment = self._segments[0]
                if len(self._segments) == 1:
                    self._end_segment()
            batch: list[Event] = []
            for event in await asyncio.to_thread(lambda path: list(self._events(path)), segment.path):
                batch.append(event)
                if len(batch) == BATCH:
                    await _give(store, batch)
                    moved += len(batch)
                    batch = []
            if batch:
                await _give(store, batch)
                moved += len(batch)
            async with self._writing:
                await asyncio.to_thread(self._remove, segment)
        return moved

    def _write(self, data: bytes, events: int) -> None:
        try:
            if self._descriptor is None or self._segments[-1].size >= SEGMENT_BYTES:
                self._begin_segment()
            segment = self._segments[-1]
            assert self._descriptor is not None  # noqa: S101 - for mypy: a segment was begun
            _write_all(self._descriptor, data)
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._abandon_segment()
            raise StoreUnavailableError(
                f"the spool {self._directory} can't be written: {error.strerror}"
            ) from error
        segment.size += len(data)
        segment.events += events

    def _begin_segment(self) -> None:
        self._end_segment()
        path = self._directory / f"{self._next:010}.spool"
        self._descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self._next += 1
        self._segments.append(_Segment(path, len(_MAGIC), 0))
        _write_all(self._descriptor, _MAGIC)
        _sync_directory(self._directory)

    def _end_segment(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _abandon_segment(self) -> None:
        """After an error, write to another file: what this one ends in isn't known."""
        if self._descriptor is not None:
            segment = self._segments[-1]
            try:
                # Nobody was told that the rest is there.
                os.ftruncate(self._descriptor, segment.size)
            except OSError:
                _LOGGER.warning("a segment could not be cut to its last record path=%s", segment.path)
            self._end_segment()
            if segment.events == 0:
                segment.path.unlink(missing_ok=True)
                self._segments.remove(segment)

    def _inspect(self, path: Path) -> _Segment:
        data = path.read_bytes()
        size, events = len(_MAGIC), 0
        for _, end in _records(data):
            size, events = end, events + 1
        cut = _is_cut(data[size:])
        if size < len(data):
            self.damaged += 1
            _LOGGER.warning(
                "a segment ends in what is no record path=%s bytes=%d cut=%s", path, len(data) - size, cut
            )
        return _Segment(path, size, events, damaged=not cut)

    def _events(self, path: Path) -> Iterator[Event]:
        data = path.read_bytes()
        for start, end in _records(data):
            try:
                yield decode_event(data[start:end])
            except msgspec.DecodeError:
                self.damaged += 1
                _LOGGER.warning("an event of another version was skipped path=%s", path)

    def _remove(self, segment: _Segment) -> None:
        if segment.damaged:
            # Events that were acknowledged may be in the rest: left for a person to look at.
            segment.path.replace(segment.path.with_suffix(".damaged"))
        else:
            segment.path.unlink(missing_ok=True)
        _sync_directory(self._directory)
        self._segments.remove(segment)


async def _give(store: EventStore, events: Sequence[Event]) -> None:
    delay, most = RETRY_S
    while True:
        try:
            await store.apply(events)
        except (OverloadedError, StoreUnavailableError):
            await asyncio.sleep(delay)
            delay = min(2 * delay, most)
        else:
            return


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """Give the bounds of the payloads, up to the first that isn't whole."""
    if not data.startswith(_MAGIC):
        return
    place = len(_MAGIC)
    while place + _HEADER.size <= len(data):
        length, expected = _HEADER.unpack_from(data, place)
        start = place + _HEADER.size
        place = start + length
        # A hole in a file reads as zeros; no event has no bytes.
        if length == 0 or place > len(data) or crc32(data[start:place]) != expected:
            return
        yield start, place


def _is_cut(rest: bytes) -> bool:
    """Tell whether what follows the last record is nothing, or a record that was being written."""
    if len(rest) < _HEADER.size:
        return True
    length, _ = _HEADER.unpack_from(rest)
    return _HEADER.size + int(length) > len(rest)


def _number(path: Path) -> int:
    return int(path.stem)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
