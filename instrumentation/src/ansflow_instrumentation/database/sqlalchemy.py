"""SQLAlchemy: every engine, synchronous and asynchronous.

Each engine has a dialect of its own, through which all that it executes passes; there it is recorded, from
wherever the engine was created, and once: an asynchronous engine is a synchronous one with another driver.
(SQLAlchemy's events would do as well, at twice the cost.) What the driver could report of the same queries is
left out, and so are SQLAlchemy's pings, and what it asks a server at the first connection.

Pools are asked for their connections (contrib counts events, twice for an asynchronous engine).
"""

import functools
import weakref
from collections.abc import Callable, Collection
from pathlib import PurePath
from time import perf_counter
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.database.pools import ObservedPool, Pools, Usage
from ansflow_instrumentation.database.queries import (
    Database,
    Queries,
    claim_connection,
    database,
    is_context_owned,
    is_contrib_loaded,
    own_queries,
    unseen_by_contrib,
)
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches
from ansflow_instrumentation.survive import survive

__all__ = ["SqlAlchemyInstrumentor"]

_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db", "redshift": "aws.redshift"}
"""`db.system.name` of dialects that are named otherwise."""

_EXECUTING = ("do_execute", "do_execute_no_params", "do_executemany")
"""Methods of a dialect that execute a statement."""

Function = Callable[..., Any]


class SqlAlchemyInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records the queries and pools of all engines."""

    _recorder: "_Recorder | None" = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Say what is instrumented.

        Returns:
            SQLAlchemy, of any version that has the methods that are wrapped.
        """
        return ("sqlalchemy >= 1.4.24",)

    def _instrument(self, **kwargs: Any) -> None:
        recorder = self._recorder = _Recorder(
            Queries(kwargs.get("tracer_provider"), kwargs.get("meter_provider")),
            Pools.of(kwargs.get("meter_provider")),
        )
        when_imported("sqlalchemy", recorder.patch)

    def _uninstrument(self, **kwargs: Any) -> None:
        if self._recorder is not None:
            self._recorder.stop()
            self._recorder = None


class _Recorder:
    """Observes the engines that are created."""

    def __init__(self, queries: Queries, pools: Pools) -> None:
        self._queries = queries
        self._pools = pools
        self._patches = Patches()
        self._engines: weakref.WeakKeyDictionary[Any, _Engine] = weakref.WeakKeyDictionary()
        self._sqlalchemy: Any = None
        self._is_stopped = False

    def patch(self, sqlalchemy: ModuleType) -> None:
        if self._is_stopped:
            return
        self._sqlalchemy = sqlalchemy
        # Not the class's constructor: SQLAlchemy reads its code to know the arguments that it takes.
        for module in (sqlalchemy.engine.create, sqlalchemy.engine, sqlalchemy):
            self._patches.replace(module, "create_engine", self._observing)
        when_imported("sqlalchemy.ext.asyncio.engine", self._patch_asynchronous)
        self._patches.replace(sqlalchemy.engine.Engine, "dispose", self._noting_disposal)
        sqlalchemy.event.listen(sqlalchemy.pool.Pool, "connect", _claim)

    def stop(self) -> None:
        self._is_stopped = True
        self._patches.restore()
        self._pools.forget(_EnginePool)
        for engine in self._engines:
            for name in (*_EXECUTING, "initialize"):
                vars(engine.dialect).pop(name, None)
        if self._sqlalchemy is not None:
            self._sqlalchemy.event.remove(self._sqlalchemy.pool.Pool, "connect", _claim)

    def _patch_asynchronous(self, engine: ModuleType) -> None:
        if not self._is_stopped:
            self._patches.replace(engine, "_create_engine", self._observing)

    def _observing(self, create: Function) -> Function:
        def create_observed(*args: Any, **kwargs: Any) -> Any:
            engine = create(*args, **kwargs)
            with survive("Observing an SQLAlchemy engine"):
                self._observe(engine)
            return engine

        return create_observed

    def _observe(self, engine: Any) -> None:
        if engine in self._engines:  # created by one wrapped function through another
            return
        observed = self._engines[engine] = _Engine(engine)
        self._pools.add(_EnginePool(engine, observed))
        self._wrap(engine.dialect, observed)

    def _noting_disposal(self, dispose: Function) -> Function:
        def dispose_noted(engine: Any, *args: Any, **kwargs: Any) -> None:
            dispose(engine, *args, **kwargs)
            while hasattr(engine, "_proxied"):  # one with other execution options
                engine = engine._proxied
            observed = self._engines.get(engine)
            if observed is not None:
                observed.disposed = weakref.ref(engine.pool)

        return dispose_noted

    def _wrap(self, dialect: Any, observed: "_Engine") -> None:
        initialise = dialect.initialize

        @functools.wraps(initialise)
        def initialise_unrecorded(connection: Any) -> None:
            with own_queries():
                initialise(connection)

        dialect.initialize = initialise_unrecorded
        for name in _EXECUTING:
            is_many = name == "do_executemany"
            setattr(dialect, name, self._recording(getattr(dialect, name), observed, is_many=is_many))

    def _recording(self, execute: Function, observed: "_Engine", *, is_many: bool) -> Function:
        record = self._queries.record
        unseen = unseen_by_contrib(execute)

        @functools.wraps(execute)
        def execute_recorded(cursor: Any, statement: str, *args: Any, **kwargs: Any) -> Any:
            if is_context_owned():
                return execute(cursor, statement, *args, **kwargs)
            batch_size = len(args[0]) if is_many else 0
            run = unseen if is_contrib_loaded() else execute
            started = perf_counter()
            try:
                result = run(cursor, statement, *args, **kwargs)
            except BaseException as error:
                record(observed.database, statement, started, error, batch_size)
                raise
            record(observed.database, statement, started, None, batch_size)
            return result

        return execute_recorded


def _claim(dbapi_connection: Any, record: Any) -> None:
    with survive("Noting a new connection of SQLAlchemy's"):
        claim_connection(record.driver_connection)


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
        if not (hasattr(engine.pool, "_overflow") and hasattr(engine.pool, "_pool")):
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
