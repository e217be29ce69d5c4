"""The fold's state in the SQLite file: saved some rows at a time, between commits, and valid all at once.

Rows of one save must become valid together, with the position that they include, and a save of all rows would
hold commits up for most of a second. So they are first put into `state_changes`, which costs little, as they
are appended. The last of them come with `progress.changes_through`, which makes them valid: from then on they
stand for what `state` has under their keys. They are moved there afterwards, some at a time too, before the
next save begins. Rows beyond `changes_through` are of a save that wasn't finished, and count for nothing.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from ansflow_gateway.storage import sqlite_file
from ansflow_gateway.storage.sqlite_rows import DIGEST_BYTES, add_digests, state_digest

SAVED_ROWS: Final = 1_024
"""Rows that are put down in one transaction: some milliseconds."""

MERGED_ROWS: Final = 256
"""Rows that are moved in one transaction: each may be on a page of its own."""

_STATEMENT_ROWS: Final = 256
"""Rows that one statement reads or writes.

Python gives the GIL up in each step of a statement, and may wait 5 ms to get it back when the event loop is
busy: few statements of many rows, not `executemany`.
"""


class Save:
    """A save under way. One thread at a time uses it, and nobody else writes the state meanwhile.

    Args:
        rows: Encoded values by key; None where the key is gone. They stay as they are until it is done.
        position: The last position that they include.
    """

    def __init__(self, rows: Mapping[str, bytes | None], position: int) -> None:
        self.position = position
        self._rows = rows
        # In the order of `state`, so that those moved together are on few pages.
        self._keys = sorted(rows)
        self._done = 0
        self._total = 0
        self._number = 0

    def step(self, connection: sqlite3.Connection) -> bool:
        """Put some more rows down, in a transaction.

        Args:
            connection: To the file.

        Returns:
            Whether that was the last of it: the state is saved.

        Raises:
            sqlite3.Error: The save can't go on, and counts for nothing.
        """
        end = min(self._done + SAVED_ROWS, len(self._keys))
        with sqlite_file.transaction(connection):
            if not self._done:
                self._begin(connection)
            for start in range(self._done, end, _STATEMENT_ROWS):
                self._put(connection, self._keys[start : min(start + _STATEMENT_ROWS, end)])
            if end == len(self._keys):
                connection.execute(
                    "UPDATE progress SET state_position = ?, state_digest = ?, changes_through = ?",
                    (self.position, self._total.to_bytes(DIGEST_BYTES, "big"), self._number),
                )
        self._done = end
        return end == len(self._keys)

    def _begin(self, connection: sqlite3.Connection) -> None:
        stored, self._number = connection.execute(
            "SELECT state_digest, changes_through FROM progress"
        ).fetchone()
        self._total = int.from_bytes(stored, "big")
        drop_unfinished(connection)

    def _put(self, connection: sqlite3.Connection, keys: Sequence[str]) -> None:
        marks = ", ".join("?" * len(keys))
        old = connection.execute(f"SELECT digest FROM state WHERE key IN ({marks})", keys)  # noqa: S608 - marks only
        self._total = add_digests(self._total, *(-int.from_bytes(digest, "big") for (digest,) in old))
        parameters: list[int | str | bytes | None] = []
        for key in keys:
            value, digest = self._rows[key], 0
            if value is not None:
                digest = state_digest(key, value)
                self._total = add_digests(self._total, digest)
            self._number += 1
            parameters += (self._number, key, digest.to_bytes(DIGEST_BYTES, "big"), value)
        marks = ", ".join(["(?, ?, ?, ?)"] * len(keys))
        connection.execute(f"INSERT INTO state_changes VALUES {marks}", parameters)  # noqa: S608 - marks only


def drop_unfinished(connection: sqlite3.Connection) -> None:
    """Drop what a save has left that wasn't finished."""
    connection.execute("DELETE FROM state_changes WHERE number > (SELECT changes_through FROM progress)")


def merge(connection: sqlite3.Connection) -> bool:
    """Move some saved rows to where they belong, in a transaction.

    Args:
        connection: To the file; no save is under way.

    Returns:
        Whether there were any.

    Raises:
        sqlite3.Error: They are all where they were.
    """
    (last,) = connection.execute(
        "SELECT MAX(number) FROM (SELECT number FROM state_changes"
        " WHERE number <= (SELECT changes_through FROM progress) ORDER BY number LIMIT ?)",
        (MERGED_ROWS,),
    ).fetchone()
    if last is None:
        return False
    with sqlite_file.transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO state"
            " SELECT key, digest, value FROM state_changes WHERE number <= ? AND value IS NOT NULL",
            (last,),
        )
        connection.execute(
            "DELETE FROM state"
            " WHERE key IN (SELECT key FROM state_changes WHERE number <= ? AND value IS NULL)",
            (last,),
        )
        connection.execute("DELETE FROM state_changes WHERE number <= ?", (last,))
    return True
