"""Queries that Django runs, by its models or by cursors, on any backend: a span and a duration point each.

Every query passes the wrapper that Django puts around a driver's cursor, so what is measured there needs
nothing of the driver. A driver that is instrumented as well, by us or by contrib, leaves the query to us.
(contrib instruments no ORM: opentelemetry-python-contrib#856.)
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sized
from contextlib import suppress
from pathlib import PurePath
from time import perf_counter
from types import ModuleType
from typing import Any

from opentelemetry import context
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)
from opentelemetry.instrumentation.utils import (  # type: ignore[attr-defined] # untyped
    _SUPPRESS_INSTRUMENTATION_KEY,
)

from ansflow_instrumentation.database.queries import Database, Queries, database, own_queries
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches

__all__ = ["DjangoOrmInstrumentor"]

SYSTEMS: Mapping[str, str] = {"microsoft": "microsoft.sql_server", "oracle": "oracle.db"}
"""`db.system.name` of Django's vendors, where it is another name.

Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/db/#db-system-name
"""

PORTS: Mapping[str, int] = {"cockroachdb": 26257, "mysql": 3306, "oracle": 1521, "postgresql": 5432}
"""Where servers listen if the settings do not say."""

TARGET = "_ansflow_database"
"""Attribute of a connection: its database, with the name in the settings, which a test run changes."""

Function = Callable[..., Any]

_UNKNOWN = database("other_sql")


class DjangoOrmInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records the queries of every connection in Django's settings."""

    _patches = Patches()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Give what must be installed.

        Returns:
            Nothing: it waits for Django to be imported.
        """
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._active = True
        self._queries = Queries(kwargs.get("tracer_provider"), kwargs.get("meter_provider"))
        when_imported("django.db.backends.utils", self._wrap_cursor)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._active = False
        self._patches.restore()

    def _wrap_cursor(self, utils: ModuleType) -> None:
        if self._active:
            # Within the application's own execute wrappers: their time is not the database's.
            self._patches.replace(utils.CursorWrapper, "_execute", self._one)
            self._patches.replace(utils.CursorWrapper, "_executemany", self._many)
            self._patches.replace(utils.CursorWrapper, "callproc", self._procedure)

    def _one(self, original: Function) -> Function:
        def execute(cursor: Any, sql: Any, *args: Any) -> Any:
            return self._run(original, cursor, (sql, *args), {}, sql)

        return execute

    def _many(self, original: Function) -> Function:
        def executemany(cursor: Any, sql: Any, param_list: Any, *args: Any) -> Any:
            batch = len(param_list) if isinstance(param_list, Sized) else 0
            return self._run(original, cursor, (sql, param_list, *args), {}, sql, batch)

        return executemany

    def _procedure(self, original: Function) -> Function:
        def callproc(cursor: Any, procname: Any, *args: Any, **kwargs: Any) -> Any:
            return self._run(original, cursor, (procname, *args), kwargs, f"CALL {procname}")

        return callproc

    def _run(
        self,
        original: Function,
        cursor: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sql: Any,
        batch_size: int = 0,
    ) -> Any:
        # contrib's drivers know another way to be told than ours.
        token = (
            context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
            if "opentelemetry.instrumentation.dbapi" in sys.modules
            else None
        )
        started = perf_counter()
        failed: BaseException | None = None
        try:
            with own_queries():
                return original(cursor, *args, **kwargs)
        except BaseException as error:
            failed = error.__cause__ or error  # the driver's, which has the database's status
            raise
        finally:
            elapsed = perf_counter() - started
            if token is not None:
                context.detach(token)
            target, text = _UNKNOWN, sql if isinstance(sql, str) else ""
            with suppress(Exception):  # settings and queries are the application's, for the driver to judge
                target, text = _database_of(cursor.db), _text(sql, cursor)
            self._queries.record(target, text, started, failed, batch_size, elapsed)


def _database_of(connection: Any) -> Database:
    settings = connection.settings_dict
    name = settings.get("NAME")
    known: tuple[Any, Database] | None = connection.__dict__.get(TARGET)
    if known is not None and known[0] == name:
        return known[1]
    vendor = str(connection.vendor)
    host = str(settings.get("HOST") or "") or None
    port = settings.get("PORT") or PORTS.get(vendor)
    found = database(
        SYSTEMS.get(vendor, vendor),
        _file_name(str(name)) if vendor == "sqlite" else str(name or "") or None,
        host,
        int(str(port)) if host and str(port).isdecimal() else None,  # several hosts may have several
    )
    connection.__dict__[TARGET] = (name, found)
    return found


def _file_name(name: str) -> str:
    """Give the base name of SQLite's file: its folder says something of the machine only."""
    return PurePath(name.removeprefix("file:").partition("?")[0]).name


def _text(sql: Any, cursor: Any) -> str:
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    return str(sql.as_string(cursor.cursor)) if hasattr(sql, "as_string") else str(sql)  # psycopg.sql
