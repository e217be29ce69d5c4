"""psycopg 3: what cursors of every kind execute, and the pools of psycopg_pool.

Methods are wrapped where they are defined, so a cursor is recorded wherever it comes from: a connection, a
pool, a cursor factory, Django.
"""

from collections.abc import Callable, Collection
from contextlib import asynccontextmanager, contextmanager, suppress
from time import perf_counter
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.database.pools import Pools
from ansflow_instrumentation.database.psycopg_pools import database_of, forget_pools, patch_pools
from ansflow_instrumentation.database.queries import Queries, is_owned
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches

__all__ = ["PsycopgInstrumentor"]

Function = Callable[..., Any]


class PsycopgInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records queries and pools."""

    _patches = Patches()
    _pools: Pools | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Say what is instrumented.

        Returns:
            psycopg, of any version that has the methods that are wrapped.
        """
        return ("psycopg >= 3.1",)

    def _instrument(self, **kwargs: Any) -> None:
        recorder = _Recorder(Queries(kwargs.get("tracer_provider"), kwargs.get("meter_provider")))
        pools = self._pools = Pools.of(kwargs.get("meter_provider"))

        def patch(psycopg: ModuleType) -> None:
            if self._pools is pools:
                _patch_cursors(psycopg, self._patches, recorder)

        def patch_pool(psycopg_pool: ModuleType) -> None:
            if self._pools is pools:
                patch_pools(psycopg_pool, self._patches, pools)

        when_imported("psycopg", patch)
        when_imported("psycopg_pool", patch_pool)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._patches.restore()
        if self._pools is not None:
            forget_pools(self._pools)
            self._pools = None


def _patch_cursors(psycopg: Any, patches: Patches, recorder: "_Recorder") -> None:
    for cursor in (psycopg.Cursor, psycopg.ServerCursor):
        patches.replace(cursor, "execute", recorder.of_query)
    patches.replace(psycopg.Cursor, "executemany", recorder.of_batch)
    patches.replace(psycopg.Cursor, "stream", recorder.of_stream)
    patches.replace(psycopg.Cursor, "copy", recorder.of_copy)
    for cursor in (psycopg.AsyncCursor, psycopg.AsyncServerCursor):
        patches.replace(cursor, "execute", recorder.of_async_query)
    patches.replace(psycopg.AsyncCursor, "executemany", recorder.of_async_batch)
    patches.replace(psycopg.AsyncCursor, "stream", recorder.of_async_stream)
    patches.replace(psycopg.AsyncCursor, "copy", recorder.of_async_copy)


class _Recorder:
    """Makes methods of a cursor that record what the originals execute."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def _record(
        self,
        cursor: Any,
        query: Any,
        started: float,
        error: BaseException | None = None,
        batch_size: int = 0,
        elapsed: float | None = None,
    ) -> None:
        text = query if isinstance(query, str) else _text_of(query, cursor)
        self._queries.record(database_of(cursor._conn), text, started, error, batch_size, elapsed)

    def of_query(self, execute: Function) -> Function:
        """Wrap `execute`."""

        def execute_recorded(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            if is_owned(cursor._conn):
                return execute(cursor, query, *args, **kwargs)
            started = perf_counter()
            try:
                result = execute(cursor, query, *args, **kwargs)
            except BaseException as error:
                self._record(cursor, query, started, error)
                raise
            self._record(cursor, query, started)
            return result

        return execute_recorded

    def of_async_query(self, execute: Function) -> Function:
        """Wrap an asynchronous `execute`."""

        async def execute_recorded(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            if is_owned(cursor._conn):
                return await execute(cursor, query, *args, **kwargs)
            started = perf_counter()
            try:
                result = await execute(cursor, query, *args, **kwargs)
            except BaseException as error:
                self._record(cursor, query, started, error)
                raise
            self._record(cursor, query, started)
            return result

        return execute_recorded

    def of_batch(self, execute: Function) -> Function:
        """Wrap `executemany`."""

        def execute_recorded(cursor: Any, query: Any, params_seq: Any, **kwargs: Any) -> Any:
            if is_owned(cursor._conn):
                return execute(cursor, query, params_seq, **kwargs)
            size = _size(params_seq)
            started = perf_counter()
            try:
                result = execute(cursor, query, params_seq, **kwargs)
            except BaseException as error:
                self._record(cursor, query, started, error, size)
                raise
            self._record(cursor, query, started, None, size)
            return result

        return execute_recorded

    def of_async_batch(self, execute: Function) -> Function:
        """Wrap an asynchronous `executemany`."""

        async def execute_recorded(cursor: Any, query: Any, params_seq: Any, **kwargs: Any) -> Any:
            if is_owned(cursor._conn):
                return await execute(cursor, query, params_seq, **kwargs)
            size = _size(params_seq)
            started = perf_counter()
            try:
                result = await execute(cursor, query, params_seq, **kwargs)
            except BaseException as error:
                self._record(cursor, query, started, error, size)
                raise
            self._record(cursor, query, started, None, size)
            return result

        return execute_recorded

    def of_copy(self, copy: Function) -> Function:
        """Wrap `copy`, whose block is the operation: no library above psycopg records that."""

        @contextmanager
        def copy_recorded(cursor: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
            started = perf_counter()
            try:
                with copy(cursor, statement, *args, **kwargs) as copying:
                    yield copying
            except BaseException as error:
                self._record(cursor, statement, started, error)
                raise
            self._record(cursor, statement, started)

        return copy_recorded

    def of_async_copy(self, copy: Function) -> Function:
        """Wrap an asynchronous `copy`."""

        @asynccontextmanager
        async def copy_recorded(cursor: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
            started = perf_counter()
            try:
                async with copy(cursor, statement, *args, **kwargs) as copying:
                    yield copying
            except BaseException as error:
                self._record(cursor, statement, started, error)
                raise
            self._record(cursor, statement, started)

        return copy_recorded

    def of_stream(self, stream: Function) -> Function:
        """Wrap `stream`: what counts is the time in which rows were waited for, not that of their use."""

        def stream_recorded(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            rows = stream(cursor, query, *args, **kwargs)
            if is_owned(cursor._conn):
                yield from rows
                return
            elapsed, failure = 0.0, None
            try:
                while True:
                    started = perf_counter()
                    try:
                        row = next(rows)
                    except StopIteration:
                        return
                    except BaseException as error:
                        failure = error
                        raise
                    finally:
                        elapsed += perf_counter() - started
                    yield row
            finally:
                rows.close()
                self._record(cursor, query, 0.0, failure, elapsed=elapsed)

        return stream_recorded

    def of_async_stream(self, stream: Function) -> Function:
        """Wrap an asynchronous `stream`."""

        async def stream_recorded(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            rows = stream(cursor, query, *args, **kwargs)
            if is_owned(cursor._conn):
                async for row in rows:
                    yield row
                return
            elapsed, failure = 0.0, None
            try:
                while True:
                    started = perf_counter()
                    try:
                        row = await anext(rows)
                    except StopAsyncIteration:
                        return
                    except BaseException as error:
                        failure = error
                        raise
                    finally:
                        elapsed += perf_counter() - started
                    yield row
            finally:
                await rows.aclose()
                self._record(cursor, query, 0.0, failure, elapsed=elapsed)

        return stream_recorded


def _text_of(query: Any, cursor: Any) -> str:
    """Give the text of a query that is no string."""
    with suppress(Exception):  # the query's own fault, of which psycopg tells the caller
        if isinstance(query, bytes):
            return query.decode(errors="replace")
        if hasattr(query, "as_string"):
            return str(query.as_string(cursor))
        return bytes(cursor._query.query).decode(errors="replace")  # what a template string became
    return ""


def _size(params_seq: Any) -> int:
    """Count sets of parameters, if that is possible without using them up."""
    return len(params_seq) if hasattr(params_seq, "__len__") else 0
