"""Places for stores under test: a file, or a database."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from ansflow_gateway.storage.opening import LeadingEventStore, open_store
from ansflow_gateway.storage.options import StoreOptions
from ansflow_gateway.storage.postgres_url import is_postgres

from support.counting_fold import CountingFold


@dataclass
class Place:
    """Where a store is, and those that were opened there.

    Attributes:
        target: The file's path, or the database's URL.
        stack: Closes the stores that a test left open.
    """

    target: str
    stack: AsyncExitStack
    opened: list[LeadingEventStore] = field(default_factory=list)

    async def open(self, fold: CountingFold | None = None, **settings: Any) -> LeadingEventStore:
        """Open a store there."""
        store = open_store(self.target, fold or CountingFold(), StoreOptions(**settings))
        await store.open()
        self.opened.append(store)
        self.stack.push_async_callback(self.close, store)
        return store

    async def close(self, store: LeadingEventStore) -> None:
        """Close a store, unless that was done."""
        if store in self.opened:
            self.opened.remove(store)
            await store.close()

    def entries(self) -> int:
        """Tell how many entries the journal has, without the store's code."""
        return self._number(
            "SELECT COUNT(*) FROM ansflow_journal", "SELECT COALESCE(SUM(count), 0) FROM journal"
        )

    def state_position(self) -> int:
        """Tell which position the saved state includes, without the store's code."""
        return self._number(
            "SELECT state_position FROM ansflow_progress", "SELECT state_position FROM progress"
        )

    def state(self, key: str) -> bytes | None:
        """Read a row of the saved state, without the store's code."""
        if is_postgres(self.target):
            with psycopg.connect(self.target) as connection:
                row = connection.execute(
                    "SELECT value FROM ansflow_state WHERE key = %s", (key.encode(),)
                ).fetchone()
        else:
            with closing(sqlite3.connect(self.target)) as file:
                row = file.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    @contextmanager
    def saves_failing(self) -> Iterator[None]:
        """Have the database itself refuse to save the state, until the block ends."""
        if is_postgres(self.target):
            begin = (
                "CREATE FUNCTION refuse() RETURNS trigger AS"
                " $$ BEGIN RAISE EXCEPTION 'injected'; END $$ LANGUAGE plpgsql;"
                " CREATE TRIGGER refuse BEFORE INSERT ON ansflow_state EXECUTE FUNCTION refuse()"
            )
            self._execute(begin)
            yield
            self._execute("DROP TRIGGER refuse ON ansflow_state")
        else:
            self._execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON state_changes"
                " BEGIN SELECT RAISE(ABORT, 'injected'); END"
            )
            yield
            self._execute("DROP TRIGGER refuse")

    def _execute(self, statement: LiteralString) -> None:
        if is_postgres(self.target):
            with psycopg.connect(self.target) as connection:
                connection.execute(statement)
        else:
            with closing(sqlite3.connect(self.target)) as file:
                file.execute(statement)

    def _number(self, in_postgres: LiteralString, in_sqlite: str) -> int:
        if is_postgres(self.target):
            with psycopg.connect(self.target) as connection:
                row = connection.execute(in_postgres).fetchone()
        else:
            with closing(sqlite3.connect(self.target)) as file:
                row = file.execute(in_sqlite).fetchone()
        assert row is not None
        return int(row[0])

    async def crash(self, store: LeadingEventStore) -> "Place":
        """Give a place as it would be if the store's process had ended now; the store itself goes on.

        A file is copied with its WAL. A database loses all of the store's connections, so that the next
        gateway leads it.
        """
        if is_postgres(self.target):
            self.opened.remove(store)
            for task in store._tasks:  # type: ignore[attr-defined]
                task.cancel()
            for connection in (store._writer, store._leader):  # type: ignore[attr-defined]
                connection.terminate()
            return self
        copy = Path(self.target).with_name("copied.db")
        for suffix in ("", "-wal"):
            shutil.copy(self.target + suffix, f"{copy}{suffix}")
        return Place(str(copy), self.stack)


@dataclass
class Clock:
    """A wall clock that stands until it is moved."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the present time, in seconds since the epoch."""
        return self.now


async def eventually(check: Callable[[], None], within_s: float = 20.0) -> None:
    """Wait until a check no longer raises AssertionError; at the end, let its last error through."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        try:
            return check()
        except AssertionError:
            if loop.time() > deadline:
                raise
        await asyncio.sleep(0.02)
