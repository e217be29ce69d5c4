"""What is known of an SQLAlchemy engine, and the connections of its pool.

contrib counts the pool's events, twice for an asynchronous engine; here the pool is asked.
"""

import weakref
from pathlib import PurePath
from typing import Any

from ansflow_instrumentation.database.pools import ObservedPool, Usage
from ansflow_instrumentation.database.queries import Database, database
from ansflow_instrumentation.survive import survive

__all__ = ["EnginePool", "ObservedEngine"]

_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db", "redshift": "aws.redshift"}
"""`db.system.name` of dialects that are named otherwise."""


class ObservedEngine:
    """What is known of an engine.

    Args:
        engine: A synchronous one, or the one that an asynchronous one is made of.

    Attributes:
        database: Where it leads to.
        disposed: The pool that it was given when it was last disposed of.
    """

    def __init__(self, engine: Any) -> None:
        url, dialect = engine.url, engine.dialect
        self.disposed: weakref.ref[Any] | None = None
        if dialect.name == "sqlite":
            self.database = database("sqlite", _sqlite_name(url.database))
            return
        system = _SYSTEMS.get(dialect.name, dialect.name)
        self.database = database(system, url.database, url.host, url.port or _default_port(dialect, url.host))
        if not url.database:
            from sqlalchemy import event

            event.listen(engine.pool, "connect", self._learn)

    def _learn(self, dbapi_connection: Any, record: Any) -> None:
        """Ask the first connection, where the URL does not tell (`create_engine(creator=…)`)."""
        with survive("Asking a connection for its database"):
            known = self.database
            if known.namespace is None:
                connection = record.driver_connection
                place = getattr(connection, "info", None) or getattr(connection, "_params", connection)
                name = _first(place, "dbname", "database", "db")
                address, port = getattr(connection, "_addr", None) or (
                    _first(place, "host"),
                    _first(place, "port"),
                )
                self.database = database(known.system, name, known.address or address, known.port or port)


class EnginePool(ObservedPool):
    """The pool that an engine has at the moment: disposal gives it another one.

    Args:
        engine: The engine.
        observed: What is known of it.
    """

    def __init__(self, engine: Any, observed: ObservedEngine) -> None:
        self._engine = weakref.ref(engine)
        self._observed = observed
        self._inherited: weakref.ref[Any] | None = None
        # Pools that cannot tell (NullPool, StaticPool, …) are counted.
        self._counted: _CountedConnections | None = None
        if not (hasattr(engine.pool, "_overflow") and hasattr(engine.pool, "_pool")):
            self._counted = _CountedConnections(engine.pool)

    @property
    def is_gone(self) -> bool:
        """Whether the engine has been collected as garbage."""
        return self._engine() is None

    def database(self) -> Database | None:
        """Give the engine's database."""
        return self._observed.database

    def usage(self) -> Usage | None:
        """Give the pool's connections; None if it was disposed of and not used since, or is the parent's."""
        engine = self._engine()
        pool = None if engine is None else engine.pool
        if pool is None or (self._inherited is not None and self._inherited() is pool):
            return None
        usage = self._counted.usage() if self._counted is not None else _usage_of_queue(pool)
        disposed = self._observed.disposed
        if disposed is not None and disposed() is pool and usage.used + usage.idle == 0:
            return None
        return usage

    def survives_fork(self) -> bool:
        """Keep the engine, but not the connections that it had: disposal gives it others."""
        engine = self._engine()
        if engine is not None and not super().survives_fork():
            self._inherited = weakref.ref(engine.pool)
        return engine is not None


class _CountedConnections:
    """Counts the connections of a pool by its events, which the pools that replace it inherit."""

    def __init__(self, pool: Any) -> None:
        from sqlalchemy import event

        self._open: set[int] = set()
        self._used: set[int] = set()
        event.listen(pool, "connect", self._opened)
        event.listen(pool, "checkout", self._taken)
        event.listen(pool, "checkin", self._returned)
        event.listen(pool, "close", self._closed)
        event.listen(pool, "detach", self._closed)

    def usage(self) -> Usage:
        used = len(self._used)
        return Usage(used, max(0, len(self._open) - used))

    def _opened(self, dbapi_connection: Any, record: Any) -> None:
        self._open.add(id(record))

    def _taken(self, dbapi_connection: Any, record: Any, proxy: Any) -> None:
        self._used.add(id(record))

    def _returned(self, dbapi_connection: Any, record: Any) -> None:
        self._used.discard(id(record))

    def _closed(self, dbapi_connection: Any, record: Any) -> None:
        self._open.discard(id(record))
        self._used.discard(id(record))


def _usage_of_queue(pool: Any) -> Usage:
    """Ask a pool that keeps its idle connections in a queue.

    Its own methods take the queue's lock, which a fork may have left held; so the numbers are taken from
    where they have them. A place in the queue whose connection was invalidated is no idle connection.
    """
    size, extra = pool.size(), pool._max_overflow
    queue = pool._pool
    waiting = tuple(queue.queue if hasattr(queue, "queue") else queue._queue._queue)
    idle = sum(record.dbapi_connection is not None for record in waiting)
    used = size + pool._overflow - len(waiting)
    return Usage(max(0, used), idle, size + extra if extra >= 0 and size else None)


def _sqlite_name(path: str | None) -> str:
    """Name an SQLite database after its file."""
    if not path or ":memory:" in path or "mode=memory" in path:
        return ":memory:"
    return PurePath(path.removeprefix("file:").partition("?")[0]).name


def _default_port(dialect: Any, host: str | None) -> int | None:
    return {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}.get(dialect.name) if host else None


def _first(place: Any, *names: str) -> Any:
    for name in names:
        value = getattr(place, name, None)
        if value:
            return value.decode(errors="replace") if isinstance(value, bytes) else value
    return None
