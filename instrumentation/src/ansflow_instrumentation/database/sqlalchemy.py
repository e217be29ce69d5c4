"""SQLAlchemy: every engine, synchronous and asynchronous, through its events.

The events are listened to on the classes, so an engine is recorded whenever and from wherever it was created,
and once: an asynchronous engine is a synchronous one with another driver. What its driver could report of the
same queries is left out, and so are SQLAlchemy's own pings and commits.

Pools are asked for their connections (contrib counts events, twice for an asynchronous engine).
"""

import weakref
from collections.abc import Collection
from pathlib import PurePath
from time import perf_counter
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.database.pools import ObservedPool, Pools, Usage
from ansflow_instrumentation.database.queries import Database, Queries, claim_connection, database
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches
from ansflow_instrumentation.survive import survive

__all__ = ["SqlAlchemyInstrumentor"]

_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db", "redshift": "aws.redshift"}
"""`db.system.name` of dialects that are named otherwise."""

_OBSERVED = "_ansflow_engine"
"""Attribute of a dialect, of which every engine has its own: what is known of the engine."""

_QUERY = "_ansflow_query"
"""Attribute of an execution: the query under way."""


class SqlAlchemyInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records the queries and pools of all engines."""

    _listeners: "_Listeners | None" = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Say what is instrumented.

        Returns:
            SQLAlchemy, of any version whose events are the ones that are listened to.
        """
        return ("sqlalchemy >= 1.4",)

    def _instrument(self, **kwargs: Any) -> None:
        listeners = self._listeners = _Listeners(
            Queries(kwargs.get("tracer_provider"), kwargs.get("meter_provider")),
            Pools.of(kwargs.get("meter_provider")),
        )
        when_imported("sqlalchemy", listeners.listen)

    def _uninstrument(self, **kwargs: Any) -> None:
        if self._listeners is not None:
            self._listeners.stop()
            self._listeners = None


class _Listeners:
    def __init__(self, queries: Queries, pools: Pools) -> None:
        self._queries = queries
        self._pools = pools
        self._patches = Patches()
        self._listened: list[tuple[Any, str, Any]] = []
        self._is_stopped = False

    def listen(self, sqlalchemy: ModuleType) -> None:
        if self._is_stopped:
            return
        from sqlalchemy.engine import Engine
        from sqlalchemy.pool import Pool

        for target, name, listener, options in (
            (Engine, "before_cursor_execute", self._before_query, {"retval": True}),
            (Engine, "after_cursor_execute", self._after_query, {}),
            (Engine, "handle_error", self._after_error, {}),
            (Engine, "engine_disposed", self._after_disposal, {}),
            (Pool, "connect", self._after_connect, {}),
        ):
            sqlalchemy.event.listen(target, name, listener, **options)
            self._listened.append((target, name, listener))

        def make(initialise: Any) -> Any:
            def observed(engine: Any, *args: Any, **kwargs: Any) -> None:
                initialise(engine, *args, **kwargs)
                with survive("Observing an SQLAlchemy engine"):
                    self._observe(engine)

            return observed

        self._patches.replace(Engine, "__init__", make)

    def stop(self) -> None:
        from sqlalchemy import event

        self._is_stopped = True
        for target, name, listener in self._listened:
            event.remove(target, name, listener)
        self._patches.restore()
        self._pools.forget(_EnginePool)

    def _observe(self, engine: Any) -> "_Engine":
        while hasattr(engine, "_proxied"):  # one with other execution options
            engine = engine._proxied
        observed = _Engine(engine)
        setattr(engine.dialect, _OBSERVED, observed)
        self._pools.add(_EnginePool(engine, observed))
        return observed

    def _before_query(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, execution: Any, is_many: bool
    ) -> tuple[str, Any]:
        if execution is not None:
            batch_size = 0
            if is_many and isinstance(parameters, list):  # and not one statement with many rows
                batch_size = len(parameters)
            setattr(execution, _QUERY, (statement, batch_size, perf_counter()))
        return statement, parameters

    def _after_query(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, execution: Any, is_many: bool
    ) -> None:
        self._finish(connection.dialect, connection, execution, None)

    def _after_error(self, failure: Any) -> None:
        self._finish(
            failure.dialect, failure.connection, failure.execution_context, failure.original_exception
        )

    def _finish(self, dialect: Any, connection: Any, execution: Any, error: BaseException | None) -> None:
        query = getattr(execution, _QUERY, None)
        if query is None:
            return
        setattr(execution, _QUERY, None)
        observed = getattr(dialect, _OBSERVED, None)
        if observed is None:  # an engine from before the instrumentation
            observed = self._observe(connection.engine)
        statement, batch_size, started = query
        self._queries.record(observed.database, statement, started, error, batch_size)

    def _after_connect(self, dbapi_connection: Any, record: Any) -> None:
        with survive("Noting a new connection of SQLAlchemy's"):
            claim_connection(record.driver_connection)

    def _after_disposal(self, engine: Any) -> None:
        with survive("Noting that an SQLAlchemy engine was disposed of"):
            observed = getattr(engine.dialect, _OBSERVED, None)
            if observed is not None:
                observed.disposed = weakref.ref(engine.pool)


class _Engine:
    """What is known of an engine.

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


class _EnginePool(ObservedPool):
    """The pool that an engine has at the moment: disposal gives it another one."""

    def __init__(self, engine: Any, observed: _Engine) -> None:
        self._engine = weakref.ref(engine)
        self._observed = observed
        self._inherited: weakref.ref[Any] | None = None
        # Pools that cannot tell (NullPool, StaticPool, …) are counted.
        self._counted: _CountedConnections | None = None
        if not (hasattr(engine.pool, "checkedin") and hasattr(engine.pool, "checkedout")):
            self._counted = _CountedConnections(engine.pool)

    @property
    def is_gone(self) -> bool:
        return self._engine() is None

    def database(self) -> Database | None:
        return self._observed.database

    def usage(self) -> Usage | None:
        engine = self._engine()
        pool = None if engine is None else engine.pool
        if pool is None or (self._inherited is not None and self._inherited() is pool):
            return None
        if self._counted is not None:
            usage = self._counted.usage()
        else:
            extra = getattr(pool, "_max_overflow", 0)
            limit = pool.size() + extra if extra >= 0 and pool.size() else None
            usage = Usage(max(0, pool.checkedout()), pool.checkedin(), limit)
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
