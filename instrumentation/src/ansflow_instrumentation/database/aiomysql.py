"""aiomysql: what cursors execute, and the pools."""

import weakref
from collections.abc import Callable, Collection
from contextlib import suppress
from time import perf_counter
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.database.pools import ObservedPool, Pools, Usage
from ansflow_instrumentation.database.queries import Database, Queries, database, is_owned, own_queries
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches

__all__ = ["AiomysqlInstrumentor"]

Function = Callable[..., Any]


class AiomysqlInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records queries and pools."""

    _patches = Patches()
    _pools: Pools | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Say what is instrumented.

        Returns:
            aiomysql, of any version that has the methods that are wrapped.
        """
        return ("aiomysql >= 0.1",)

    def _instrument(self, **kwargs: Any) -> None:
        recorder = _Recorder(Queries(kwargs.get("tracer_provider"), kwargs.get("meter_provider")))
        pools = self._pools = Pools.of(kwargs.get("meter_provider"))

        def patch(aiomysql: ModuleType) -> None:
            if self._pools is pools:
                _patch(aiomysql, self._patches, recorder, pools)

        when_imported("aiomysql", patch)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._patches.restore()
        if self._pools is not None:
            self._pools.forget(_AiomysqlPool)
            self._pools = None


def _patch(aiomysql: Any, patches: Patches, recorder: "_Recorder", pools: Pools) -> None:
    patches.replace(aiomysql.cursors.Cursor, "execute", recorder.of_query)
    patches.replace(aiomysql.cursors.Cursor, "executemany", recorder.of_batch)
    patches.replace(aiomysql.cursors.Cursor, "callproc", recorder.of_call)

    def observed(initialise: Function) -> Function:
        def initialise_observed(pool: Any, *args: Any, **kwargs: Any) -> None:
            initialise(pool, *args, **kwargs)
            pools.add(_AiomysqlPool(pool))

        return initialise_observed

    patches.replace(aiomysql.pool.Pool, "__init__", observed)


class _Recorder:
    """Makes methods of a cursor that record what the originals execute."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def of_query(self, execute: Function) -> Function:
        """Wrap `execute`, which puts the arguments into the query itself: before that it has no literals."""

        async def execute_recorded(cursor: Any, query: Any, args: Any = None) -> Any:
            connection = cursor._connection
            if is_owned(connection):
                return await execute(cursor, query, args)
            return await self._recorded(execute(cursor, query, args), connection, query)

        return execute_recorded

    def of_batch(self, execute: Function) -> Function:
        """Wrap `executemany`, which calls `execute`."""

        async def execute_recorded(cursor: Any, query: Any, args: Any) -> Any:
            connection = cursor._connection
            if is_owned(connection) or not args:
                return await execute(cursor, query, args)
            with own_queries():
                execution = execute(cursor, query, args)
                size = len(args) if hasattr(args, "__len__") else 0
                return await self._recorded(execution, connection, query, size)

        return execute_recorded

    def of_call(self, call: Function) -> Function:
        """Wrap `callproc`, which does not call `execute`."""

        async def call_recorded(cursor: Any, procname: str, args: Any = ()) -> Any:
            connection = cursor._connection
            if is_owned(connection):
                return await call(cursor, procname, args)
            return await self._recorded(call(cursor, procname, args), connection, f"CALL {procname}")

        return call_recorded

    async def _recorded(self, execution: Any, connection: Any, query: Any, batch_size: int = 0) -> Any:
        target = None
        with suppress(Exception):  # a closed cursor, or no query: aiomysql says so to the application
            text = query if isinstance(query, str) else bytes(query).decode(errors="replace")
            target = _database_of(connection)
        if target is None:
            return await execution
        started = perf_counter()
        try:
            result = await execution
        except BaseException as error:
            self._queries.record(target, text, started, error, batch_size)
            raise
        self._queries.record(target, text, started, None, batch_size)
        return result


class _AiomysqlPool(ObservedPool):
    """A pool of aiomysql's."""

    def __init__(self, pool: Any) -> None:
        self._pool = weakref.ref(pool)
        options = pool._conn_kwargs
        self._database = _database(
            options.get("unix_socket"),
            options.get("host") or "localhost",
            options.get("port") or 3306,
            options.get("db") or options.get("database"),
        )

    @property
    def is_gone(self) -> bool:
        pool = self._pool()
        return pool is None or pool._closed or pool._loop.is_closed()

    def database(self) -> Database | None:
        return self._database

    def usage(self) -> Usage | None:
        pool = self._pool()
        return None if pool is None else Usage(len(pool._used), pool.freesize, pool.maxsize)

    def survives_fork(self) -> bool:
        """Forget it in a child, which has not the loop that the pool runs in."""
        return False


def _database_of(connection: Any) -> Database:
    return _database(connection._unix_socket, connection._host, connection._port, connection._db)


def _database(unix_socket: str | None, host: str, port: int, name: str | None) -> Database:
    return database("mysql", name, unix_socket or host, port)
