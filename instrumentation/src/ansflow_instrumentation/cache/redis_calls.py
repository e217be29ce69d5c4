"""How a call of redis-py is recorded once it has ended: its span, its duration, its commands' outcomes."""

import re
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter, time_ns
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.context import get_current
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import SpanContext, Status, StatusCode, get_current_span

from ansflow_instrumentation.cache.operations import Status as Outcome
from ansflow_instrumentation.cache.operations import cache_meters, current_owner
from ansflow_instrumentation.cache.redis_commands import Command, command_of, query_text
from ansflow_instrumentation.conventions import DATABASE_BOUNDS, SCHEMA_URL, error_name
from ansflow_instrumentation.database.queries import Database, database
from ansflow_instrumentation.recording import HistogramSeries
from ansflow_instrumentation.spans.client import ClientSpans
from ansflow_instrumentation.survive import report_once
from ansflow_instrumentation.version import __version__

__all__ = ["Call", "Calls", "database_of_pool"]

SCOPE = "ansflow_instrumentation.cache"

RECORDING = "Recording a call of Redis"

MAX_QUERY_COMMANDS = 20
"""Commands of a pipeline that its span's statement lists."""

DATABASE = "_ansflow_database"
"""Attribute of a connection pool (or a cluster's client): where it leads to."""

_FAILED = Status(StatusCode.ERROR)

_ERROR_PREFIX = re.compile(r"[A-Z]{3,}(?= )")

Staged = list[tuple[Command, Sequence[Any]]]


class Calls:
    """Begins calls, with the instruments they are recorded by."""

    def __init__(self) -> None:
        self.spans = ClientSpans(trace.get_tracer(SCOPE, __version__, schema_url=SCHEMA_URL))
        meter = metrics.get_meter(SCOPE, __version__, schema_url=SCHEMA_URL)
        self.durations: HistogramSeries[tuple[Database, str, str | None]] = HistogramSeries(
            meter.create_histogram(
                "db.client.operation.duration",
                "s",
                "Duration of database client operations.",
                explicit_bucket_boundaries_advisory=DATABASE_BOUNDS,
            ),
            _duration_attributes,
        )
        self.caches = cache_meters()

    def command(self, client: Any, args: Sequence[Any]) -> "Call | None":
        """Begin a command.

        Args:
            client: Who sends it.
            args: Its name and its arguments.

        Returns:
            The call; None where there is nothing to record.
        """
        try:
            if not args or not is_instrumentation_enabled():
                return None
            command = command_of(args)
            return Call(self, _database_of(client), command.name, command.operation, [(command, args)])
        except Exception:  # noqa: BLE001 # whatever it is, redis-py tells the application
            report_once(RECORDING)
            return None

    def pipeline(self, pipeline: Any) -> "Call | None":
        """Begin a pipeline.

        Args:
            pipeline: What will be executed.

        Returns:
            The call; None where there is nothing to record.
        """
        try:
            return self._pipeline(pipeline)
        except Exception:  # noqa: BLE001 # as above
            report_once(RECORDING)
            return None

    def _pipeline(self, pipeline: Any) -> "Call | None":
        if not is_instrumentation_enabled():
            return None
        staged = [(command_of(args), args) for args in _staged(pipeline)]
        if not staged:
            return None
        is_transaction = getattr(pipeline, "explicit_transaction", False) or getattr(
            pipeline, "transaction", getattr(pipeline, "is_transaction", False)
        )
        # Where there is no such attribute, a method may bear the name.
        name = "MULTI" if is_transaction is True else "PIPELINE"
        return Call(self, _database_of(pipeline), name, name.lower(), staged)


class Call:
    """One exchange with the server.

    Args:
        calls: The instruments.
        target: Where it goes.
        name: Of the command, or what kind of pipeline it is.
        operation: The same, as caches' operations are named.
        commands: What is sent, with the arguments.
    """

    __slots__ = (
        "_cache",
        "_calls",
        "_commands",
        "_counted",
        "_name",
        "_operation",
        "_started",
        "_target",
        "_waits",
    )

    def __init__(self, calls: Calls, target: Database, name: str, operation: str, commands: Staged) -> None:
        self._calls = calls
        self._target = target
        self._cache = f"redis/{target.namespace}"
        self._name = name
        self._operation = operation
        self._commands = commands
        self._waits = any(command.waits for command, _ in commands)
        self._counted = current_owner.get() is None  # else it is part of an operation of Django's cache
        self._started = perf_counter()

    def end(self, answers: Sequence[Any]) -> None:
        """Record what the server answered.

        Args:
            answers: One for each command.
        """
        seconds = perf_counter() - self._started
        outcome: Outcome = "ok"
        try:
            if self._counted:
                for (command, args), answer in zip(self._commands, answers, strict=False):
                    outcome = self._count(command, args, answer)
            self._finish(seconds, "ok" if len(self._commands) > 1 else outcome, None, None)
        except Exception:  # noqa: BLE001 # the application has its answers
            report_once(RECORDING)

    def fail(self, error: BaseException) -> None:
        """Record that there are no answers.

        Args:
            error: Why.
        """
        seconds = perf_counter() - self._started
        try:
            if self._counted:
                for command, _ in self._commands:
                    self._calls.caches.operations.add((self._cache, command.operation, "error"))
            self._finish(seconds, "error", error_name(error), error)
        except Exception:  # noqa: BLE001 # the application gets the error
            report_once(RECORDING)

    def _count(self, command: Command, args: Sequence[Any], answer: Any) -> Outcome:
        caches = self._calls.caches
        if isinstance(answer, Exception):
            caches.operations.add((self._cache, command.operation, "error"))
            return "error"
        if command.lookups is None:
            caches.operations.add((self._cache, command.operation, "ok"))
            return "ok"
        try:
            hits, misses = command.lookups(args, answer)
        except (TypeError, ValueError):  # a response callback of the application's makes something else of it
            hits, misses = 1, 0
        return caches.count_lookups(self._cache, command.operation, hits, misses)

    def _finish(
        self, seconds: float, outcome: Outcome, error_type: str | None, error: BaseException | None
    ) -> None:
        span_context = self._record_span(seconds, error_type, error)
        if self._waits:
            return
        self._calls.durations.record((self._target, self._name, error_type), seconds, span_context)
        if self._counted:
            self._calls.caches.durations.record(
                (self._cache, self._operation, outcome), seconds, span_context
            )

    def _record_span(
        self, seconds: float, error_type: str | None, error: BaseException | None
    ) -> SpanContext | None:
        context = get_current()
        if self._waits and not get_current_span(context).is_recording():
            return None
        if not self._calls.spans.are_wanted(context):
            return None
        attributes: dict[str, Any] = {
            **self._target.attributes,
            "db.operation.name": self._name,
            "db.query.text": "\n".join(
                [query_text(command, args) for command, args in self._commands[:MAX_QUERY_COMMANDS]]
            ),
        }
        if len(self._commands) > 1:
            attributes["db.operation.batch.size"] = len(self._commands)
        status = None
        if error is not None:
            attributes["error.type"] = error_type
            code = _response_status(error)
            if code is not None:
                attributes["db.response.status_code"] = code
            # Of a WatchError, another client was quicker: what WATCH is for.
            status = None if type(error).__name__ == "WatchError" else _FAILED
        end = time_ns()
        return self._calls.spans.record(
            self._name, context, end - int(seconds * 1e9), end, attributes, status
        )


def database_of_pool(pool: Any) -> Database:
    """Tell where a connection pool leads to.

    Args:
        pool: Of redis-py, or anything else that may know it, or not.

    Returns:
        The database, remembered with the pool; without a server where that changes (Sentinel, a cluster).
    """
    found: Database | None = getattr(pool, DATABASE, None)
    if found is None:
        options = getattr(pool, "connection_kwargs", None) or {}
        address = options.get("path") or options.get("host")
        port = str(options.get("port") or 6379)  # whatever the application was given: `tcp://10.0.0.1:6379`
        found = database(
            "redis", str(options.get("db") or 0), address, int(port) if port.isdecimal() else None
        )
        with suppress(AttributeError):  # a cluster's client has slots
            setattr(pool, DATABASE, found)
    return found


def _database_of(client: Any) -> Database:
    return database_of_pool(getattr(client, "connection_pool", None) or client)


def _staged(pipeline: Any) -> list[Sequence[Any]]:
    """Find the commands that a pipeline holds; those of clusters keep them elsewhere since redis-py 6."""
    strategy = getattr(pipeline, "_execution_strategy", None)
    staged = (
        getattr(strategy, "command_queue", None)
        or getattr(strategy, "_command_queue", None)
        or getattr(pipeline, "command_stack", None)
        or getattr(pipeline, "_command_stack", None)
        or ()
    )
    return [command.args if hasattr(command, "args") else command[0] for command in staged]


def _response_status(error: BaseException) -> str | None:
    """Give the prefix of the server's error (`WRONGTYPE`), which redis-py takes off those it knows."""
    status = getattr(error, "status_code", None)
    if status is None and error.args and type(error).__module__.startswith("redis."):
        prefix = _ERROR_PREFIX.match(str(error.args[0]))
        status = prefix[0] if prefix else None
    return None if status is None else str(status)


def _duration_attributes(key: tuple[Database, str, str | None]) -> dict[str, Any]:
    target, name, error_type = key
    attributes = {**target.attributes, "db.operation.name": name}
    if error_type is not None:
        attributes["error.type"] = error_type
    return attributes
