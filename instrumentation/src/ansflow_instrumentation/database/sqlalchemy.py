"""SQLAlchemy: every engine, synchronous and asynchronous.

Each engine has a dialect of its own, through which all that it executes passes; there it is recorded, from
wherever the engine was created, and once: an asynchronous engine is a synchronous one with another driver.
(SQLAlchemy's events would do as well, at twice the cost.) What the driver could report of the same queries is
left out, and so are SQLAlchemy's pings, and what it asks a server at the first connection.
"""

import functools
import weakref
from collections.abc import Callable, Collection
from time import perf_counter
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.database.pools import Pools
from ansflow_instrumentation.database.queries import (
    Queries,
    claim_connection,
    is_context_owned,
    is_contrib_loaded,
    own_queries,
    unseen_by_contrib,
)
from ansflow_instrumentation.database.sqlalchemy_pools import EnginePool, ObservedEngine
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches
from ansflow_instrumentation.survive import survive

__all__ = ["SqlAlchemyInstrumentor"]

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
        self._engines: weakref.WeakKeyDictionary[Any, ObservedEngine] = weakref.WeakKeyDictionary()
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
        self._pools.forget(EnginePool)
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
        observed = self._engines[engine] = ObservedEngine(engine)
        self._pools.add(EnginePool(engine, observed))
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

    def _wrap(self, dialect: Any, observed: "ObservedEngine") -> None:
        initialise = dialect.initialize

        @functools.wraps(initialise)
        def initialise_unrecorded(connection: Any) -> None:
            with own_queries():
                initialise(connection)

        dialect.initialize = initialise_unrecorded
        for name in _EXECUTING:
            is_many = name == "do_executemany"
            setattr(dialect, name, self._recording(getattr(dialect, name), observed, is_many=is_many))

    def _recording(self, execute: Function, observed: "ObservedEngine", *, is_many: bool) -> Function:
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
