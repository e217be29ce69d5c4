"""The SQLite file of a store: its schema, how it is made, and when it is refused.

Layout (schema 2). A row of `journal` is a block: the events of one group commit, their keys, and a checksum.
One row a group, rather than one an event, makes a durable event five times cheaper; as each block holds both
the keys and the events, none is ever there without the other. Positions have no gaps: block follows block,
from `progress.compacted_position` on, so that a lost block shows.

`state` is what the fold saved, with what `state_changes` has in place of it (see `sqlite_state`), and
`progress` says up to which position; `progress.state_digest` is the sum of the rows' digests, which shows a
mixture of old and new pages (a WAL cut off after a part of it was copied into the file), that SQLite itself
can't see.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ansflow_gateway.errors import StoreRefusedError
from ansflow_gateway.storage.records import checksum
from ansflow_gateway.storage.sqlite_rows import add_digests, state_digest, state_rows

APPLICATION_ID: Final = 0x414E5346
"""`ANSF`: marks a file as ours (https://www.sqlite.org/pragma.html#pragma_application_id)."""

PAGE_BYTES: Final = 8192
"""Size of a page: blocks are some 25 kB, and single events share the last page."""

WAY_OUT: Final = (
    "restore a backup (ansflow-gateway restore), or move the file and those beside it away to start from zero"
)
"""What to do about a file that is refused."""

AMISS: Final = "see that its disk works and has room, and that the gateway may write there, and start again"
"""What to do where nothing is known to be the matter with the file itself: not to start from zero."""

_OUTSIDE: Final = frozenset(
    {
        *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM),
    }
)
"""Errors that are the disk's or the system's (https://www.sqlite.org/rescode.html)."""

_MAGIC: Final = b"SQLite format 3\0"

MIGRATIONS: Final[Sequence[str]] = (
    """
    CREATE TABLE journal (
        position INTEGER PRIMARY KEY,
        count INTEGER NOT NULL CHECK (count > 0),
        received_at REAL NOT NULL,
        checksum INTEGER NOT NULL,
        keys BLOB NOT NULL,
        events BLOB NOT NULL
    );
    CREATE TABLE state (key TEXT PRIMARY KEY, digest BLOB NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE progress (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        state_position INTEGER NOT NULL,
        state_digest BLOB NOT NULL,
        compacted_position INTEGER NOT NULL,
        probe INTEGER NOT NULL
    );
    INSERT INTO progress VALUES (1, 0, zeroblob(8), 0, 0);
    """,
    """
    CREATE TABLE state_changes (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL, digest BLOB NOT NULL, value BLOB
    );
    ALTER TABLE progress ADD COLUMN changes_through INTEGER NOT NULL DEFAULT 0;
    """,
)
"""The script that leads from each schema version to the next; a version is never changed, only added."""


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a connection that leaves transactions and checkpoints to its user.

    Args:
        path: The file.
        mode: `ro`, `rw`, or `rwc`, which makes the file (https://www.sqlite.org/uri.html#recognized_query_parameters).

    Returns:
        The connection; it may move between threads.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10,
    )
    connection.execute("PRAGMA synchronous = FULL")
    # Checkpoints within a commit hide their errors: the store makes its own.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring the schema to the present version, each step in a transaction.

    Args:
        connection: To the file.
        migrations: One script a version.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in enumerate(migrations[version:], version + 1):
        with transaction(connection):
            for statement in script.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def create(path: Path) -> None:
    """Make an empty store under a temporary name, and move it to its place when it is on the disk.

    So an empty file in its place never is a store that was being made: it is one that was lost.

    Args:
        path: Where to; nothing is there.

    Raises:
        StoreRefusedError: The directory can't be written.
    """
    unfinished = path.with_name(path.name + ".new")
    try:
        remove(unfinished)
        make_private(unfinished)
        with contextlib.closing(connect(unfinished, "rwc")) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
        move_durably(unfinished, path)
    except (OSError, sqlite3.Error) as error:
        raise StoreRefusedError(f"the store {path} can't be made: {error}") from error


def make_private(path: Path) -> None:
    """Make an empty file for SQLite, which its owner alone can read, as will be what is kept beside it.

    Raises:
        OSError: It is there already, or can't be made.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def remove(path: Path) -> None:
    """Delete a database and what SQLite keeps beside it."""
    for suffix in ("-wal", "-shm", "-journal", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def move_durably(source: Path, target: Path) -> None:
    """Put a closed database in its place, whatever is there, so that it survives a power cut."""
    descriptor = os.open(source, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    source.replace(target)
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def open_verified(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """Open an existing store, and read all of it once.

    Args:
        path: The file.
        mode: `rw`, which migrates an older schema too, or `ro`.

    Returns:
        The connection.

    Raises:
        StoreRefusedError: It is corrupt, incomplete, of something else, or of a newer version.
    """
    _inspect_header(path)
    connection = None
    try:
        connection = connect(path, mode)
        _verify(path, connection, mode)
    except sqlite3.OperationalError as error:
        if connection is not None:
            connection.close()
        raise _unopened(path, error) from error
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise corrupt(path, str(error)) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def corrupt(path: Path, what: str) -> StoreRefusedError:
    """Make the error that refuses a file that isn't whole."""
    return StoreRefusedError(f"the store {path} is corrupt: {what}; {WAY_OUT}")


def _unopened(path: Path, error: sqlite3.OperationalError) -> StoreRefusedError:
    way_out = AMISS if error.sqlite_errorcode & 0xFF in _OUTSIDE else WAY_OUT
    return StoreRefusedError(f"the store {path} can't be opened: {error}; {way_out}")


def _inspect_header(path: Path) -> None:
    """Look at the first bytes, before SQLite does: it takes an empty file for a new database.

    It even deletes a WAL beside one. (Nor may the file be opened and closed by ourselves while SQLite has it
    open: POSIX drops all locks of a process when it closes any descriptor of the file.)
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise StoreRefusedError(f"the store {path} can't be read: {error.strerror}") from error
    if not header:
        raise corrupt(path, "the file is empty")
    if not header.startswith(_MAGIC):
        raise StoreRefusedError(f"the store {path} is no SQLite database; name another file, or {WAY_OUT}")
    if len(header) < 100:
        raise corrupt(path, "the file ends within its header")


def _verify(path: Path, connection: sqlite3.Connection, mode: str) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise StoreRefusedError(
            f"the store {path} is a database of another application (application_id {application:#010x}); "
            "name another file"
        )
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreRefusedError(
            f"the store {path} has schema version {version}, and this gateway knows {len(MIGRATIONS)}: "
            "run the gateway that wrote it, or a newer one"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise corrupt(path, verdict)
    if mode == "rw":
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection)
    verify_contents(path, connection)


def verify_contents(path: Path, connection: sqlite3.Connection) -> None:
    """Check what SQLite can't know: that no block is missing or altered, and that the state is of one moment.

    Args:
        path: The file, for messages.
        connection: To it.

    Raises:
        StoreRefusedError: It isn't so.
    """
    progress = connection.execute(
        "SELECT state_position, state_digest, compacted_position FROM progress"
    ).fetchone()
    if progress is None:
        raise corrupt(path, "its progress is missing")
    state_position, digest, last = progress
    rows = connection.execute("SELECT position, count, checksum, keys, events FROM journal ORDER BY position")
    for position, count, expected, keys, events in rows:
        if position != last + 1:
            raise corrupt(path, f"the journal lacks the positions {last + 1} to {position - 1}")
        if checksum(keys, events) != expected:
            raise corrupt(path, f"the journal's block at position {position} doesn't match its checksum")
        last = position + count - 1
    if state_position > last:
        raise corrupt(
            path, f"the state was saved at position {state_position}, and the journal ends at {last}"
        )
    total = add_digests(0, *(state_digest(key, value) for key, value in state_rows(connection)))
    if total != int.from_bytes(digest, "big"):
        raise corrupt(path, "the saved state doesn't match its digest")
