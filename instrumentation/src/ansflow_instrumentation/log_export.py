"""Which log records go out by OTLP, and that the console stays as it was.

The handler is contrib's (opentelemetry-instrumentation-logging); each record that is exported carries the
trace and span id of the context it was logged in. The SDK's own handler is deprecated and stays off.

contrib puts the handler on the root logger. There it does not see loggers that do not propagate (uvicorn's,
gunicorn's, many a Django project's), goes away with whatever clears the root's handlers, and keeps
Python from writing warnings to the console of a program that configures no logging. Here records are taken
where a logger hands them to its handlers, each once, whatever handlers there are.

A server logs an exception that no application has handled when the request's span has ended, so that the one
record that matters would belong to no trace: it is given the span that recorded the exception.
"""

import contextlib
import copy
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from opentelemetry import context
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["QUIET_LOGGERS", "QUIET_LOGGERS_VARIABLE", "ExportedRecords", "export_every_logger"]

QUIET_LOGGERS_VARIABLE = "ANSFLOW_LOGS_QUIET_LOGGERS"
"""Comma-separated loggers (with all below them) of which only warnings and worse are exported."""

QUIET_LOGGERS = (
    # SQL echo, and a driver's debug output, are records per query.
    "sqlalchemy",
    "django.db.backends",
    "aiosqlite",
    "asyncpg",
    "psycopg",
    # Access logs are a record per request: the spans tell the same, and more.
    "uvicorn.access",
    "gunicorn.access",
    "hypercorn.access",
    "django.server",
    "django.channels.server",
)
"""Those that are quiet where the user has set none."""

ATTRIBUTE_TYPES = (str, bool, int, float, bytes, Sequence, Mapping, type(None))
"""What the SDK takes as an attribute; of anything else it warns, record by record."""

UNWANTED_EXTRAS = ("color_message",)
"""uvicorn gives each message a second time, with escape sequences for terminals."""

_exporting: ContextVar[bool] = ContextVar("ansflow_log_exporting", default=False)
"""Whether a record is being exported: what is logged meanwhile is about that, and would go on for ever."""

_traceparents = TraceContextTextMapPropagator()

RECORDED_IN = "_ansflow_recorded_in"
"""Attribute of an exception: the last span that recorded it, which is the request's, as a traceparent.

Plain text, since applications write the attributes of exceptions as JSON, and pickle them.
"""


class ExportedRecords:
    """Decides which records are exported.

    Args:
        level: The least level that is exported.
        quiet: Loggers of which, with all below them, only warnings and worse are exported.
    """

    def __init__(self, level: int, quiet: Iterable[str]) -> None:
        self._level = level
        self._quiet = tuple(quiet)

    def __contains__(self, record: logging.LogRecord) -> bool:
        # Exporters run with telemetry suppressed; one that logs (urllib3 does, at DEBUG) would feed itself.
        return record.levelno >= self._level and is_instrumentation_enabled() and not self._is_chatter(record)

    def _is_chatter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING and any(
            record.name == logger or record.name.startswith(f"{logger}.") for logger in self._quiet
        )


def export_every_logger(env: Mapping[str, str]) -> None:
    """Take contrib's OTLP handler from the root logger, and give it the records of all loggers.

    Args:
        env: The process's environment.
    """
    root = logging.getLogger()
    handler = next((one for one in root.handlers if isinstance(one, LoggingHandler)), None)
    if handler is None:
        return
    root.removeHandler(handler)
    quiet = [name.strip() for name in env.get(QUIET_LOGGERS_VARIABLE, "").split(",") if name.strip()]
    exported = ExportedRecords(handler.level, quiet)
    call_handlers: Callable[[logging.Logger, logging.LogRecord], None] = logging.Logger.callHandlers

    @functools.wraps(call_handlers)
    def call_handlers_and_export(logger: logging.Logger, record: logging.LogRecord) -> None:
        try:
            call_handlers(logger, record)
        finally:
            # Behind the handlers: their filters add what a record should carry (a request's id, say).
            # (The instrumentor forgets its handler when it is turned off.)
            if record in exported and getattr(LoggingInstrumentor, "_logging_handler", handler) is handler:
                _export(handler, logger, record)

    logger_class: Any = logging.Logger
    logger_class.callHandlers = call_handlers_and_export
    _remember_where_exceptions_are_recorded()


def _remember_where_exceptions_are_recorded() -> None:
    record_exception = Span.record_exception

    @functools.wraps(record_exception)
    def record_and_remember(span: Span, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        record_exception(span, exception, *args, **kwargs)
        with contextlib.suppress(Exception):  # an exception without attributes, or with an opinion of them
            ids = span.get_span_context()
            setattr(
                exception, RECORDED_IN, f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}"
            )

    span_class: Any = Span
    span_class.record_exception = record_and_remember


def _export(handler: LoggingHandler, logger: logging.Logger, record: logging.LogRecord) -> None:
    if _exporting.get() or _has_handler_of_its_own(logger):
        return
    token = _exporting.set(True)
    try:
        with _where_it_happened(record):
            handler.emit(_exportable(record))
    except Exception:  # noqa: BLE001 # as logging's own handlers do: a record must not stop the application
        handler.handleError(record)
    finally:
        _exporting.reset(token)


@contextlib.contextmanager
def _where_it_happened(record: logging.LogRecord) -> Iterator[None]:
    """Run the block in the trace of the record's exception, where there is no other."""
    error = record.exc_info[1] if record.exc_info else None
    recorded_in = getattr(error, RECORDED_IN, None)
    if not isinstance(recorded_in, str) or get_current_span().get_span_context().is_valid:
        yield
        return
    token = context.attach(_traceparents.extract({"traceparent": recorded_in}))
    try:
        yield
    finally:
        context.detach(token)


def _exportable(record: logging.LogRecord) -> logging.LogRecord:
    """Give a record whose extras are attributes: Django's carry the request itself."""
    fields = vars(record)
    objects = [name for name, value in fields.items() if not isinstance(value, ATTRIBUTE_TYPES)]
    unwanted = [name for name in UNWANTED_EXTRAS if name in fields]
    if not objects and not unwanted:
        return record
    exportable = copy.copy(record)
    for name in objects:
        setattr(exportable, name, str(fields[name]))
    for name in unwanted:
        delattr(exportable, name)
    return exportable


def _has_handler_of_its_own(logger: logging.Logger) -> bool:
    """Tell whether the application exports a logger's records itself; twice would be too much."""
    ancestor: logging.Logger | None = logger
    while ancestor is not None:
        for handler in ancestor.handlers:
            if isinstance(handler, LoggingHandler):
                return True
        ancestor = ancestor.parent if ancestor.propagate else None
    return False
