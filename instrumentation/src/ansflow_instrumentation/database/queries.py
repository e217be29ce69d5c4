"""What every driver's instrumentation shares: one span and one duration point for each query, cheaply.

A query's span has no children (drivers are not traced within), so nobody needs it while the query runs: it is
made when the query has ended, with all its attributes at once, and not at all in a trace that is not sampled.

Source:
    https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#metric-dbclientoperationduration
    https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from sys import modules
from time import perf_counter, time_ns
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.context import attach, detach, get_current, set_value
from opentelemetry.instrumentation.utils import (  # type: ignore[attr-defined] # untyped
    _SUPPRESS_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY_PLAIN,
)
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Status, StatusCode, TracerProvider

from ansflow_instrumentation.conventions import DATABASE_BOUNDS, SCHEMA_URL, error_name
from ansflow_instrumentation.database.statements import describe
from ansflow_instrumentation.recording import HistogramSeries
from ansflow_instrumentation.spans.client import ClientSpans
from ansflow_instrumentation.version import __version__

__all__ = [
    "SCOPE_NAME",
    "Database",
    "Queries",
    "claim_connection",
    "database",
    "is_context_owned",
    "is_contrib_loaded",
    "is_owned",
    "own_queries",
    "unseen_by_contrib",
]

SCOPE_NAME = "ansflow_instrumentation.database"
"""Name of the instrumentation scope."""

MAX_DATABASES = 1000
"""Databases that are remembered."""

_MYSQL_SYSTEMS = frozenset({"mysql", "mariadb"})

_MYSQL_DRIVERS = ("pymysql", "MySQLdb", "asyncmy")
"""Modules of the exceptions whose first argument is MySQL's error number."""

_FAILED = Status(StatusCode.ERROR)

_logger = logging.getLogger(__name__)

_owned: ContextVar[bool] = ContextVar("ansflow_query_owned", default=False)

_claimed: "weakref.WeakSet[object]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True, eq=False)
class Database:
    """A database, as telemetry names it. Made by `database()`, so that there is one object for each.

    Attributes:
        system: `db.system.name`: postgresql, mysql, sqlite, …
        namespace: `db.namespace`: the database's name, or None where it is not known.
        address: `server.address`: host, or path of the Unix socket's folder; None without a server.
        port: `server.port`, or None.
        attributes: All of these by their names, for spans and points.
        is_mysql: Whether its statements are written MySQL's way.
    """

    system: str
    namespace: str | None
    address: str | None
    port: int | None
    attributes: dict[str, Any]
    is_mysql: bool


@lru_cache(maxsize=MAX_DATABASES)
def database(
    system: str, namespace: str | None = None, address: str | None = None, port: int | None = None
) -> Database:
    """Give the object of a database.

    Args:
        system: `db.system.name`.
        namespace: The database's name.
        address: Host, or path of a Unix socket's folder.
        port: TCP port.

    Returns:
        The same object for the same arguments, as long as it is remembered.
    """
    if port is not None and (address is None or address.startswith("/")):
        port = None
    attributes = {
        "db.system.name": system,
        "db.namespace": namespace or None,
        "server.address": address or None,
        "server.port": port,
    }
    known = {name: value for name, value in attributes.items() if value is not None}
    return Database(system, namespace or None, address or None, port, known, system in _MYSQL_SYSTEMS)


@contextmanager
def own_queries() -> Iterator[None]:
    """Record nothing of the queries that drivers run in the block: somebody above them does."""
    token = _owned.set(True)
    try:
        yield
    finally:
        _owned.reset(token)


def claim_connection(connection: object) -> None:
    """Record nothing of the queries that a driver runs on a connection: somebody above it does.

    Args:
        connection: The driver's.
    """
    with suppress(TypeError):  # cannot be referred to weakly: of no driver that is instrumented
        _claimed.add(connection)


def is_contrib_loaded() -> bool:
    """Tell whether an instrumentation of contrib's may record what a driver executes.

    Returns:
        Whether one for a driver has been imported, also one for a driver that we know nothing of.
    """
    return (
        "opentelemetry.instrumentation.dbapi" in modules or "opentelemetry.instrumentation.asyncpg" in modules
    )


def unseen_by_contrib(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that executes without contrib's instrumentation of the driver recording it.

    Args:
        execute: Executes by a driver.

    Returns:
        The function, which costs two changes of the context.
    """

    def execute_unseen(*args: Any, **kwargs: Any) -> Any:
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            return execute(*args, **kwargs)
        finally:
            detach(token)

    return execute_unseen


is_context_owned = _owned.get
"""Tells whether a query that begins here is run within `own_queries`."""


def is_owned(connection: object) -> bool:
    """Tell whether a query that a driver is about to run is recorded by somebody above it.

    Args:
        connection: The driver's.

    Returns:
        Whether it is.
    """
    return _owned.get() or connection in _claimed


class Queries:
    """Records queries.

    Args:
        tracer_provider: Where spans go; the global one by default.
        meter_provider: Where durations go; the global one by default.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._has_warned = False
        self._spans = ClientSpans(
            trace.get_tracer(SCOPE_NAME, __version__, tracer_provider, schema_url=SCHEMA_URL)
        )
        meter = metrics.get_meter(SCOPE_NAME, __version__, meter_provider, schema_url=SCHEMA_URL)
        self._durations: HistogramSeries[tuple[Database, str, str | None]] = HistogramSeries(
            meter.create_histogram(
                "db.client.operation.duration",
                "s",
                "Duration of database client operations.",
                explicit_bucket_boundaries_advisory=DATABASE_BOUNDS,
            ),
            _attributes,
        )

    def record(
        self,
        target: Database,
        statement: str,
        started: float,
        error: BaseException | None = None,
        batch_size: int = 0,
        elapsed: float | None = None,
    ) -> None:
        """Record a query that has ended. What goes wrong with that is one warning.

        Args:
            target: The database that was asked.
            statement: SQL.
            started: Seconds, of `time.perf_counter`.
            error: What it raised, if it failed.
            batch_size: Number of parameter sets, if there were several.
            elapsed: Seconds it took, if not from `started` until now.
        """
        seconds = perf_counter() - started if elapsed is None else elapsed
        try:
            context = get_current()
            if context and (
                context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get(_SUPPRESS_INSTRUMENTATION_KEY_PLAIN)
            ):
                return
            described = describe(statement, mysql=target.is_mysql)
            if not described.text:
                return  # a driver's or pool's way to ask whether a connection is alive
            summary = described.batch if batch_size > 1 else described.single
            error_type = None if error is None else _error_type(error)
            span_context = None
            if self._spans.are_wanted(context):
                attributes = {
                    **target.attributes,
                    "db.operation.name": summary.operation,
                    "db.query.summary": summary.text,
                    "db.query.text": described.text,
                }
                if batch_size > 1:
                    attributes["db.operation.batch.size"] = batch_size
                if error is not None:
                    attributes["error.type"] = error_type
                    code = response_status_code(error)
                    if code is not None:
                        attributes["db.response.status_code"] = code
                end = time_ns()
                status = None if error is None else _FAILED
                span_context = self._spans.record(
                    summary.text, context, end - int(seconds * 1e9), end, attributes, status
                )
            self._durations.record((target, summary.operation, error_type), seconds, span_context)
        except Exception:  # telemetry must not fail a query, whatever it stumbles over
            if not self._has_warned:
                self._has_warned = True
                _logger.warning("A database query could not be recorded", exc_info=True)


def response_status_code(error: BaseException) -> str | None:
    """Give the status that the database answered with.

    Args:
        error: A driver's.

    Returns:
        PostgreSQL's SQLSTATE or MySQL's error number; None where the error is not the database's.
    """
    if type(error).__module__.startswith(_MYSQL_DRIVERS):
        code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    else:
        code = getattr(error, "sqlstate", None)
    return None if code is None else str(code)


def _error_type(error: BaseException) -> str:
    return response_status_code(error) or error_name(error)


def _attributes(key: tuple[Database, str, str | None]) -> dict[str, Any]:
    target, operation, error_type = key
    attributes = {**target.attributes, "db.operation.name": operation}
    if error_type is not None:
        attributes["error.type"] = error_type
    return attributes
