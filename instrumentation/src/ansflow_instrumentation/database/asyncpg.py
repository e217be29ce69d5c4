"""asyncpg: what connections, prepared statements and cursors execute, and the pools.

One record a round trip: a cursor that is iterated over is recorded for each batch that it fetches, not for
each row. The query by which a pool resets a connection is asyncpg's own, and not recorded.
"""

from collections.abc import Callable, Collection
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

__all__ = ["AsyncpgInstrumentor"]

Function = Callable[..., Any]


class AsyncpgInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records queries and pools."""

    _patches = Patches()
    _pools: Pools | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Say what is instrumented.

        Returns:
            asyncpg, of any version that has the methods that are wrapped.
        """
        return ("asyncpg >= 0.28",)

    def _instrument(self, **kwargs: Any) -> None:
        recorder = _Recorder(Queries(kwargs.get("tracer_provider"), kwargs.get("meter_provider")))
        pools = self._pools = Pools.of(kwargs.get("meter_provider"))

        def patch(asyncpg: ModuleType) -> None:
            if self._pools is pools:
                _patch(asyncpg, self._patches, recorder, pools)

        when_imported("asyncpg", patch)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._patches.restore()
        if self._pools is not None:
            self._pools.forget(_AsyncpgPool)
            self._pools = None


def _patch(asyncpg: Any, patches: Patches, recorder: "_Recorder", pools: Pools) -> None:
    connection = asyncpg.connection.Connection
    for name in ("execute", "fetch", "fetchval", "fetchrow"):
        patches.replace(connection, name, recorder.of_query)
    for name in ("executemany", "fetchmany"):
        patches.replace(connection, name, recorder.of_batch)
    for name in ("_copy_in", "_copy_out"):
        patches.replace(connection, name, recorder.of_copy)
    patches.replace(connection, "copy_records_to_table", recorder.of_copied_records)
    patches.replace(connection, "reset", _unrecorded)
    prepared = asyncpg.prepared_stmt.PreparedStatement
    for name in ("fetch", "fetchval", "fetchrow"):
        patches.replace(prepared, name, recorder.of_resource)
    for name in ("executemany", "fetchmany"):
        patches.replace(prepared, name, recorder.of_prepared_batch)
    for name in ("_bind_exec", "_exec"):
        patches.replace(asyncpg.cursor.BaseCursor, name, recorder.of_resource)
    patches.replace(asyncpg.cursor.Cursor, "forward", recorder.of_resource)

    def observed(initialise: Function) -> Function:
        async def initialise_observed(pool: Any) -> None:
            await initialise(pool)
            pools.add(_AsyncpgPool(pool))

        return initialise_observed

    patches.replace(asyncpg.pool.Pool, "_initialize", observed)


def _unrecorded(reset: Function) -> Function:
    async def reset_unrecorded(connection: Any, *args: Any, **kwargs: Any) -> None:
        with own_queries():
            await reset(connection, *args, **kwargs)

    return reset_unrecorded


class _Recorder:
    """Makes methods that record what the originals execute."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def of_query(self, execute: Function) -> Function:
        """Wrap a connection's method that is given the query first."""
        record = self._queries.record

        async def execute_recorded(connection: Any, query: str, *args: Any, **kwargs: Any) -> Any:
            if is_owned(connection):
                return await execute(connection, query, *args, **kwargs)
            started = perf_counter()
            try:
                result = await execute(connection, query, *args, **kwargs)
            except BaseException as error:
                record(_database_of(connection), query, started, error)
                raise
            record(_database_of(connection), query, started)
            return result

        return execute_recorded

    def of_batch(self, execute: Function) -> Function:
        """Wrap a connection's method that is given the query and several sets of arguments."""

        async def execute_recorded(connection: Any, *args: Any, **kwargs: Any) -> Any:
            execution = execute(connection, *args, **kwargs)
            if is_owned(connection):
                return await execution
            # `executemany` calls it its command, `fetchmany` its query.
            query = args[0] if args else kwargs.get("command", kwargs.get("query", ""))
            size = _size(args[1] if len(args) > 1 else kwargs.get("args"))
            return await self._recorded(execution, connection, query, size)

        return execute_recorded

    def of_copy(self, copy: Function) -> Function:
        """Wrap what COPY goes through: no library above asyncpg records that, on whosever connection."""

        async def copy_recorded(connection: Any, statement: str, *args: Any, **kwargs: Any) -> Any:
            return await self._recorded(copy(connection, statement, *args, **kwargs), connection, statement)

        return copy_recorded

    def of_copied_records(self, copy: Function) -> Function:
        """Wrap the COPY that makes its statement itself."""

        async def copy_recorded(
            connection: Any, table_name: str, *, schema_name: str | None = None, **kwargs: Any
        ) -> Any:
            table = f'"{table_name}"' if schema_name is None else f'"{schema_name}"."{table_name}"'
            execution = copy(connection, table_name, schema_name=schema_name, **kwargs)
            return await self._recorded(execution, connection, f"COPY {table} FROM STDIN")

        return copy_recorded

    def of_resource(self, execute: Function) -> Function:
        """Wrap a method of a prepared statement or cursor, which know their query."""

        async def execute_recorded(resource: Any, *args: Any, **kwargs: Any) -> Any:
            connection = resource._connection
            if is_owned(connection):
                return await execute(resource, *args, **kwargs)
            return await self._recorded(execute(resource, *args, **kwargs), connection, _query_of(resource))

        return execute_recorded

    def of_prepared_batch(self, execute: Function) -> Function:
        """Wrap a prepared statement's method that is given several sets of arguments."""

        async def execute_recorded(resource: Any, args: Any, **kwargs: Any) -> Any:
            connection = resource._connection
            if is_owned(connection):
                return await execute(resource, args, **kwargs)
            return await self._recorded(
                execute(resource, args, **kwargs), connection, _query_of(resource), _size(args)
            )

        return execute_recorded

    async def _recorded(self, execution: Any, connection: Any, query: str, batch_size: int = 0) -> Any:
        started = perf_counter()
        try:
            result = await execution
        except BaseException as error:
            self._queries.record(_database_of(connection), query, started, error, batch_size)
            raise
        self._queries.record(_database_of(connection), query, started, None, batch_size)
        return result


class _AsyncpgPool(ObservedPool):
    """A pool of asyncpg's, kept until it is closed.

    It cannot be referred to weakly; and one that is dropped without being closed keeps its connections, by
    the event loop, as long as the loop runs.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._database: Database | None = None

    @property
    def is_gone(self) -> bool:
        return bool(self._pool._closed or self._pool._loop.is_closed())

    def database(self) -> Database | None:
        if self._database is None:
            for holder in self._pool._holders:
                connection = holder._con
                if connection is not None and not connection.is_closed():
                    self._database = _database_of(connection)
                    break
        return self._database

    def usage(self) -> Usage | None:
        size, idle = self._pool.get_size(), self._pool.get_idle_size()
        return Usage(max(0, size - idle), idle, self._pool.get_max_size())

    def survives_fork(self) -> bool:
        """Forget it in a child, which has not the loop that the pool runs in."""
        return False


def _database_of(connection: Any) -> Database:
    address = getattr(connection, "_addr", None)
    name = getattr(getattr(connection, "_params", None), "database", None)
    if type(address) is tuple:
        return database("postgresql", name, address[0], address[1])
    return database("postgresql", name, address)


def _query_of(resource: Any) -> str:
    return getattr(resource, "_query", None) or ""


def _size(args: Any) -> int:
    """Count sets of arguments, if that is possible without using them up."""
    return len(args) if hasattr(args, "__len__") else 0
