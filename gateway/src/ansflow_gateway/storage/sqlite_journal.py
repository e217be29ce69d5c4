"""What the store does with its SQLite file, a transaction each: no threads, no fold."""

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ansflow_gateway.storage import sqlite_file
from ansflow_gateway.storage.file_lock import FileLock
from ansflow_gateway.storage.records import Record, checksum, join_events, join_keys, split_keys
from ansflow_gateway.storage.sqlite_rows import state_rows
from ansflow_gateway.storage.sqlite_state import MERGED_ROWS, SAVED_ROWS, Save, drop_unfinished, merge

CHECKPOINT_BYTES: Final = 8 << 20
"""Bytes written to the WAL, about, after which it is copied into the file."""

COMPACTED_EVENTS: Final = 5_000
"""Events that leave the journal in one transaction, about: as many as a group commit brings.

A commit costs the same whether one small block leaves or thousands, and whoever waits for the next one waits
for this one first.
"""

_LOGGER: Final = logging.getLogger(__name__)

_INSERT: Final = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)"

_LEAVING: Final = """
WITH RECURSIVE leaving (last, taken) AS (
    SELECT position + count - 1, count
    FROM (SELECT position, count, received_at FROM journal ORDER BY position LIMIT 1)
    WHERE position + count - 1 <= ?3 AND (received_at < ?1 OR position + count - 1 <= ?2)
    UNION ALL
    SELECT position + count - 1, taken + count FROM leaving JOIN journal ON position = last + 1
    WHERE position + count - 1 <= ?3 AND (received_at < ?1 OR position + count - 1 <= ?2)
    AND taken + count <= ?4
)
SELECT MAX(last) FROM leaving
"""
"""The last position of the blocks that `compact` lets go, found from block to block: the first that stays
ends it, whatever comes after."""


class Block(NamedTuple):
    """A group commit as the journal holds it.

    Args:
        position: Position of its first event.
        received_at: When its events were taken in, in seconds since the epoch.
        events: The events, as `records.join_events` encodes them.
    """

    position: int
    received_at: float
    events: bytes


class SqliteJournal:
    """An open file. One thread at a time uses it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.last = 0
        """The last position that is committed."""
        self.saved = 0
        """The position that the saved state includes."""
        self.compacted = 0
        """The last position that has left the journal."""
        self.merging = False
        """Whether saved rows may not be where they belong yet: `merge_some` moves them."""
        self._lock = FileLock(self.path)
        self._connection: sqlite3.Connection | None = None
        self._unchecked_bytes = 0
        self._save: Save | None = None

    def open(self) -> None:
        """Lock the file, make it if there is none, and verify it.

        Raises:
            StoreRefusedError: It must not be used.
        """
        self._lock.acquire()
        try:
            if not self.path.exists():
                wal = self.path.with_name(self.path.name + "-wal")
                if wal.exists() and wal.stat().st_size > 0:
                    raise sqlite_file.corrupt(self.path, "the file is gone, and its -wal is there")
                sqlite_file.create(self.path)
                _LOGGER.info("a new store was made path=%s", self.path)
            self._connection = sqlite_file.open_verified(self.path)
            self._read_positions()
            # The next save does so too: a disk that is full is no reason not to serve what is there.
            with contextlib.suppress(sqlite3.Error), sqlite_file.transaction(self._connection):
                drop_unfinished(self._connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the file. SQLite copies the WAL into it, and deletes it, if it can."""
        self._disconnect()
        self._lock.release()

    def reopen(self) -> None:
        """Trust nothing after an error, and make what is there durable anew.

        After a failed fsync, Linux marks the pages as clean although they aren't on the disk, and the next
        fsync succeeds (https://wiki.postgresql.org/wiki/Fsync_Errors). So the WAL isn't relied on: all of it
        is copied into the file, which makes other pages dirty, and these are synced before it is cut to
        nothing. A commit that failed may turn out to be there: `last` tells.

        Raises:
            sqlite3.Error: It doesn't work yet.
        """
        self._disconnect()
        self._connection = sqlite_file.connect(self.path, "rw")
        (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("another process reads the file, and the WAL can't be cut yet")
        self._unchecked_bytes = 0
        self._read_positions()
        with sqlite_file.transaction(self._connection):
            self._connection.execute("UPDATE progress SET probe = probe + 1")
            drop_unfinished(self._connection)

    def append(self, records: Sequence[Record], received_at: float) -> int:
        """Commit events as the next block.

        Args:
            records: Those of the events, at least one.
            received_at: When they were taken in.

        Returns:
            The position of the first; the others follow without a gap.

        Raises:
            sqlite3.Error: They aren't committed, or it isn't known whether they are: `reopen` tells.
        """
        position = self.last + 1
        keys, events = join_keys(records), join_events(records)
        # A statement by itself is its own transaction: one wait for the GIL in the place of three.
        self._connected.execute(
            _INSERT, (position, len(records), received_at, checksum(keys, events), keys, events)
        )
        self.last += len(records)
        self._unchecked_bytes += len(keys) + len(events) + sqlite_file.PAGE_BYTES
        return position

    def checkpoint_if_due(self) -> None:
        """Copy the WAL into the file when enough was written to it; readers are left alone."""
        if self._unchecked_bytes >= CHECKPOINT_BYTES:
            self._connected.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._unchecked_bytes = 0

    def keys(self) -> Iterator[bytes]:
        """Give the keys of all events in the journal."""
        for (joined,) in self._connected.execute("SELECT keys FROM journal"):
            yield from split_keys(joined)

    def keys_after(self, position: int) -> list[bytes]:
        """Give the keys of the blocks after a position, where a block ends."""
        rows = self._connected.execute("SELECT keys FROM journal WHERE position > ?", (position,))
        return [key for (joined,) in rows for key in split_keys(joined)]

    def blocks_after(self, position: int) -> Iterator[Block]:
        """Give the blocks with events after a position, oldest first; the first may begin before it."""
        rows = self._connected.execute(
            "SELECT position, received_at, events FROM journal"
            " WHERE position + count > ?1 + 1"
            " AND position >= COALESCE((SELECT MAX(position) FROM journal WHERE position <= ?1 + 1), 0)"
            " ORDER BY position",
            (position,),
        )
        return (Block(*row) for row in rows)

    def state(self) -> Iterator[tuple[str, bytes]]:
        """Give the saved state."""
        return state_rows(self._connected)

    @property
    def saving(self) -> bool:
        """Whether a save was begun that isn't done: `save_some` goes on with it."""
        return self._save is not None

    def begin_save(self, rows: Mapping[str, bytes | None], position: int) -> None:
        """Begin to save what has changed of the state, together with the position that it includes.

        Args:
            rows: Encoded values by key; None where the key is gone. They must stay as they are meanwhile.
            position: The last position that was applied.

        Raises:
            sqlite3.Error: What was saved before can't be moved to where it belongs; nothing was begun.
        """
        while self.merging:
            self.merge_some()
        self._save = Save(rows, position)

    def save_some(self) -> bool:
        """Go on with the save, in a transaction; tell whether it is done.

        Raises:
            sqlite3.Error: Nothing of it was saved.
        """
        save, self._save = self._save, None
        if save is None:
            return True
        done = save.step(self._connected)
        self._unchecked_bytes += SAVED_ROWS * 256 + sqlite_file.PAGE_BYTES
        if done:
            self.saved = save.position
            self.merging = True
        else:
            self._save = save
        return done

    def merge_some(self) -> None:
        """Move some of what was saved to where it belongs, in a transaction."""
        self.merging = merge(self._connected)
        self._unchecked_bytes += MERGED_ROWS * 1024

    def save_state(self, rows: Mapping[str, bytes | None], position: int) -> None:
        """Save all that has changed of the state, as `begin_save`, `save_some` and `merge_some` do together.

        Args:
            rows: Encoded values by key; None where the key is gone.
            position: The last position that was applied.

        Raises:
            sqlite3.Error: It isn't known to be saved.
        """
        self.begin_save(rows, position)
        while not self.save_some():
            pass
        while self.merging:
            self.merge_some()

    def compact(
        self, received_before: float, through: int, most: int = COMPACTED_EVENTS
    ) -> list[bytes] | None:
        """Let the oldest blocks go that are old, or too many, and that the saved state includes.

        Args:
            received_before: Blocks taken in before that are old, in seconds since the epoch.
            through: Blocks that end at this position, or before, are too many.
            most: Most events that go at once; a block is never split, and the oldest may have more.

        Returns:
            The keys of their events, which are forgotten; None where there was nothing to be done.

        Raises:
            sqlite3.Error: They are all still there.
        """
        connection = self._connected
        (end,) = connection.execute(_LEAVING, (received_before, through, self.saved, most)).fetchone()
        if end is None:
            return None
        # As one row: see `sqlite_state`. As text, and that must not have the NULs that keys may have.
        (keys,) = connection.execute(
            "SELECT GROUP_CONCAT(HEX(keys), '') FROM journal WHERE position <= ?", (end,)
        ).fetchone()
        with sqlite_file.transaction(connection):
            connection.execute("DELETE FROM journal WHERE position <= ?", (end,))
            connection.execute("UPDATE progress SET compacted_position = ?", (end,))
        self.compacted = end
        forgotten = list(split_keys(bytes.fromhex(keys)))
        self._unchecked_bytes += len(keys) // 2 + sqlite_file.PAGE_BYTES
        return forgotten

    @property
    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the file isn't open")
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                _LOGGER.warning("the store could not be closed cleanly", exc_info=True)

    def _read_positions(self) -> None:
        self._save, self.merging = None, True
        self.saved, self.compacted = self._connected.execute(
            "SELECT state_position, compacted_position FROM progress"
        ).fetchone()
        row = self._connected.execute(
            "SELECT position + count - 1 FROM journal ORDER BY position DESC LIMIT 1"
        ).fetchone()
        # The journal may be empty because all of it was compacted: its positions are never used again.
        self.last = self.compacted if row is None else row[0]
