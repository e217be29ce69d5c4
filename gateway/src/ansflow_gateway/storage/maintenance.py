"""Backup, restore, export and inspection: what the command line does with a store."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from ansflow_gateway.errors import StoreRefusedError
from ansflow_gateway.storage import sqlite_file
from ansflow_gateway.storage.file_lock import FileLock
from ansflow_gateway.storage.postgres_journal import fetch_entries
from ansflow_gateway.storage.postgres_url import is_postgres, masked
from ansflow_gateway.storage.records import split_events
from ansflow_gateway.storage.sqlite_rows import state_rows

EXPORT_CHUNK: Final = 1_000
"""Entries that an export from PostgreSQL reads at a time."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a store holds.

    Args:
        schema_version: Version of its schema.
        position: The last position that is committed.
        state_position: The position that the saved state includes.
        entries: Events in the journal.
        state_rows: Rows of saved state.
        oldest_received_at: When the oldest event of the journal was taken in, in seconds since the epoch;
            None where there is none.
    """

    schema_version: int
    position: int
    state_position: int
    entries: int
    state_rows: int
    oldest_received_at: float | None

    def as_dict(self) -> dict[str, Any]:
        """Give it as a JSON-able dict."""
        return asdict(self)


def backup(path: str, target: Path) -> Inspection:
    """Copy a store, which a gateway may be using, as it is at one moment.

    Args:
        path: The store.
        target: Where to; nothing may be there.

    Returns:
        What the copy holds; it was read back and verified.

    Raises:
        StoreRefusedError: There is something at the target, or the store or its copy is not sound.
    """
    source = _file(path, "pg_dump")
    if target.exists():
        raise StoreRefusedError(f"{target} exists; name a file that doesn't")
    unfinished = target.with_name(target.name + ".unfinished")
    try:
        with contextlib.closing(sqlite_file.open_verified(source, "ro")) as connection:
            _copy(connection, unfinished)
        inspection = inspect(str(unfinished))
        sqlite_file.move_durably(unfinished, target)
    except (OSError, sqlite3.Error) as error:
        raise StoreRefusedError(f"{source} can't be copied to {target}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            sqlite_file.remove(unfinished)
    return inspection


def restore(source: Path, path: str, *, overwrite: bool = False) -> Inspection:
    """Put a backup in the place of a store that no gateway uses.

    Args:
        source: The backup.
        path: Where the store is to be.
        overwrite: Whether a store that is there is to be lost.

    Returns:
        What the restored store holds; it was read back and verified.

    Raises:
        StoreRefusedError: The backup isn't sound, a store is there, or a gateway uses it.
    """
    target = _file(path, "pg_restore").resolve()
    if source.resolve() == target:
        raise StoreRefusedError(f"{source} is both the backup and the store")
    unfinished = target.with_name(target.name + ".unfinished")
    lock = FileLock(target)
    lock.acquire()
    try:
        if not overwrite and any(target.with_name(target.name + suffix).exists() for suffix in ("", "-wal")):
            raise StoreRefusedError(f"{target} exists; say so if it is to be overwritten")
        with contextlib.closing(sqlite_file.open_verified(source, "ro")) as connection:
            _copy(connection, unfinished)
        inspection = inspect(str(unfinished))
        # A WAL belongs to one file: that of the lost store must not be played into the restored one.
        sqlite_file.remove(target)
        sqlite_file.move_durably(unfinished, target)
    except (OSError, sqlite3.Error) as error:
        raise StoreRefusedError(f"{source} can't be restored to {target}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            sqlite_file.remove(unfinished)
        lock.release()
    return inspection


def inspect(path: str) -> Inspection:
    """Verify a store, and tell what it holds.

    Args:
        path: The store; a gateway may be using it.

    Returns:
        What it holds.

    Raises:
        StoreRefusedError: It is not sound.
    """
    source = _file(path, "psql")
    with contextlib.closing(sqlite_file.open_verified(source, "ro")) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        saved, compacted = connection.execute(
            "SELECT state_position, compacted_position FROM progress"
        ).fetchone()
        entries, last, oldest = connection.execute(
            "SELECT COALESCE(SUM(count), 0), MAX(position + count - 1), MIN(received_at) FROM journal"
        ).fetchone()
        rows = sum(1 for _ in state_rows(connection))
    return Inspection(version, compacted if last is None else last, saved, entries, rows, oldest)


def export(path_or_url: str) -> Iterator[dict[str, Any]]:
    """Give the journal's entries, oldest first; a gateway may be using the store.

    Args:
        path_or_url: The store.

    Yields:
        JSON-able dicts: `position`, `received_at` in seconds since the epoch, and `event`.

    Raises:
        StoreRefusedError: It is not sound, or can't be read.
    """
    if is_postgres(path_or_url):
        yield from _export_postgres(path_or_url)
        return
    with contextlib.closing(sqlite_file.open_verified(_file(path_or_url, ""), "ro")) as connection:
        for position, received_at, events in connection.execute(
            "SELECT position, received_at, events FROM journal ORDER BY position"
        ):
            for place, event in enumerate(split_events(events), position):
                yield {"position": place, "received_at": received_at, "event": msgspec.to_builtins(event)}


def _export_postgres(url: str) -> Iterator[dict[str, Any]]:
    position = 0
    while entries := asyncio.run(fetch_entries(url, position, EXPORT_CHUNK)):
        for entry in entries:
            yield msgspec.to_builtins(entry)
        position = entries[-1].position


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    sqlite_file.remove(target)
    sqlite_file.make_private(target)
    with contextlib.closing(sqlite3.connect(target)) as copy:
        # All pages in one step: in one read transaction, so of one moment, whatever is written meanwhile.
        connection.backup(copy)


def _file(path: str, tool: str) -> Path:
    if is_postgres(path):
        raise StoreRefusedError(
            f"{masked(path)} is a PostgreSQL database: use PostgreSQL's own {tool}, "
            "which knows roles, extensions and streaming too"
        )
    return Path(path)
