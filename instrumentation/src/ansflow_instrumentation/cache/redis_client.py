"""redis-py: a span and a duration a call, and each command an operation on the cache `redis/<database>`.

It stands in for contrib's instrumentation, which has no meters, sets attributes that no convention knows
(`db.redis.args_length`), and puts what a search finds on its span.

A pipeline is one call: one span, one duration; its commands are counted each. Commands that wait for
something to happen (BLPOP, XREAD with BLOCK) are counted, not timed, and have a span within a trace only: a
consumer that waits in a loop would begin one for ever.

Sources:
    https://opentelemetry.io/docs/specs/semconv/db/redis/
    https://opentelemetry.io/docs/specs/semconv/db/database-metrics/
"""

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from time import perf_counter
from types import ModuleType
from typing import Any, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span

from ansflow_instrumentation.cache.operations import DURATION_BOUNDS, Status, cache_meters, current_owner
from ansflow_instrumentation.cache.redis_commands import Command, command_of, query_text
from ansflow_instrumentation.client_calls import (
    SCHEMA_URL,
    error_name,
    fail_span,
    sampled_context,
    start_span,
)
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches
from ansflow_instrumentation.recording import HistogramSeries
from ansflow_instrumentation.version import __version__

__all__ = ["RedisInstrumentor"]

SCOPE = "ansflow_instrumentation.cache"

MAX_QUERY_COMMANDS = 20
"""Commands of a pipeline that its span's statement lists."""

ENDPOINT = "_ansflow_endpoint"
"""Attribute of a connection pool (or a cluster's client): where it leads to."""

_ERROR_PREFIX = re.compile(r"[A-Z]{3,}(?= )")

Function = Callable[..., Any]


class _Endpoint(NamedTuple):
    """Where a client's commands go.

    Attributes:
        namespace: Number of the database.
        address: Host, or path of a Unix socket; None where it changes (Sentinel, a cluster).
        port: TCP port, if any.
    """

    namespace: str
    address: str | None
    port: int | None

    def attributes(self) -> dict[str, Any]:
        """Give the attributes of its spans and measurements."""
        attributes: dict[str, Any] = {"db.system.name": "redis", "db.namespace": self.namespace}
        if self.address is not None:
            attributes["server.address"] = self.address
        if self.port is not None:
            attributes["server.port"] = self.port
        return attributes


Key = tuple[_Endpoint, str, str | None]


class RedisInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Instruments every client of redis-py, synchronous, asynchronous and of clusters."""

    _patches = Patches()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Give what must be installed.

        Returns:
            Nothing: it waits for redis-py to be imported.
        """
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._active = True
        self._calls = _Calls()
        when_imported("redis.client", self._wrap_client)
        when_imported("redis.cluster", self._wrap_cluster)
        when_imported("redis.asyncio.client", self._wrap_async_client)
        when_imported("redis.asyncio.cluster", self._wrap_async_cluster)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._active = False
        self._patches.restore()

    def _wrap_client(self, client: ModuleType) -> None:
        self._replace(client.Redis, "execute_command", self._command)
        self._replace(client.Pipeline, "immediate_execute_command", self._command)
        self._replace(client.Pipeline, "execute", self._pipeline)

    def _wrap_cluster(self, cluster: ModuleType) -> None:
        self._replace(cluster.RedisCluster, "execute_command", self._command)
        self._replace(cluster.ClusterPipeline, "execute", self._pipeline)

    def _wrap_async_client(self, client: ModuleType) -> None:
        self._replace(client.Redis, "execute_command", self._async_command)
        self._replace(client.Pipeline, "immediate_execute_command", self._async_command)
        self._replace(client.Pipeline, "execute", self._async_pipeline)

    def _wrap_async_cluster(self, cluster: ModuleType) -> None:
        self._replace(cluster.RedisCluster, "execute_command", self._async_command)
        self._replace(cluster.ClusterPipeline, "execute", self._async_pipeline)

    def _replace(self, owner: Any, name: str, make: Callable[[Function], Function]) -> None:
        if self._active:
            self._patches.replace(owner, name, make)

    def _command(self, original: Function) -> Function:
        begin = self._calls.command

        def execute_command(client: Any, *args: Any, **options: Any) -> Any:
            call = begin(client, args)
            if call is None:
                return original(client, *args, **options)
            try:
                answer = original(client, *args, **options)
            except BaseException as error:
                call.fail(error)
                raise
            call.end([answer])
            return answer

        return execute_command

    def _async_command(self, original: Function) -> Function:
        begin = self._calls.command

        async def execute_command(client: Any, *args: Any, **options: Any) -> Any:
            call = begin(client, args)
            if call is None:
                return await original(client, *args, **options)
            try:
                answer = await original(client, *args, **options)
            except BaseException as error:
                call.fail(error)
                raise
            call.end([answer])
            return answer

        return execute_command

    def _pipeline(self, original: Function) -> Function:
        begin = self._calls.pipeline

        def execute(pipeline: Any, *args: Any, **options: Any) -> Any:
            call = begin(pipeline)
            if call is None:
                return original(pipeline, *args, **options)
            try:
                answers = original(pipeline, *args, **options)
            except BaseException as error:
                call.fail(error)
                raise
            call.end(answers)
            return answers

        return execute

    def _async_pipeline(self, original: Function) -> Function:
        begin = self._calls.pipeline

        async def execute(pipeline: Any, *args: Any, **options: Any) -> Any:
            call = begin(pipeline)
            if call is None:
                return await original(pipeline, *args, **options)
            try:
                answers = await original(pipeline, *args, **options)
            except BaseException as error:
                call.fail(error)
                raise
            call.end(answers)
            return answers

        return execute


class _Calls:
    """Begins calls, with the instruments they are recorded by."""

    def __init__(self) -> None:
        self.tracer = trace.get_tracer(SCOPE, __version__, schema_url=SCHEMA_URL)
        meter = metrics.get_meter(SCOPE, __version__, schema_url=SCHEMA_URL)
        self.durations: HistogramSeries[Key] = HistogramSeries(
            meter.create_histogram(
                "db.client.operation.duration",
                "s",
                "Duration of database client operations.",
                explicit_bucket_boundaries_advisory=DURATION_BOUNDS,
            ),
            _duration_attributes,
        )
        self.caches = cache_meters()

    def command(self, client: Any, args: Sequence[Any]) -> "_Call | None":
        """Begin a command.

        Args:
            client: Who sends it.
            args: Its name and its arguments.

        Returns:
            The call; None where there is nothing to record.
        """
        if not args or not is_instrumentation_enabled():
            return None
        command = command_of(args)
        return _Call(self, _endpoint(client), command.name, command.operation, [(command, args)])

    def pipeline(self, pipeline: Any) -> "_Call | None":
        """Begin a pipeline.

        Args:
            pipeline: What will be executed.

        Returns:
            The call; None where there is nothing to record.
        """
        if not is_instrumentation_enabled():
            return None
        staged = [(command_of(args), args) for args in _staged(pipeline)]
        if not staged:
            return None
        transaction = getattr(pipeline, "explicit_transaction", False) or getattr(
            pipeline, "transaction", getattr(pipeline, "is_transaction", False)
        )
        name = "MULTI" if transaction is True else "PIPELINE"
        return _Call(self, _endpoint(pipeline), name, name.lower(), staged)


class _Call:
    """One exchange with the server.

    Args:
        calls: The instruments.
        endpoint: Where it goes.
        name: Of the command, or what kind of pipeline it is.
        operation: The same, as caches' operations are named.
        commands: What is sent, with the arguments.
    """

    __slots__ = (
        "_calls",
        "_commands",
        "_counted",
        "_endpoint",
        "_name",
        "_operation",
        "_span",
        "_started",
        "_waits",
    )

    def __init__(
        self,
        calls: _Calls,
        endpoint: _Endpoint,
        name: str,
        operation: str,
        commands: list[tuple[Command, Sequence[Any]]],
    ) -> None:
        self._calls = calls
        self._endpoint = endpoint
        self._name = name
        self._operation = operation
        self._commands = commands
        self._waits = any(command.waits for command, _ in commands)
        self._counted = current_owner.get() is None  # else it is part of an operation of Django's cache
        self._span = self._start_span()
        self._started = perf_counter()

    def _start_span(self) -> Span:
        if self._waits and not get_current_span().is_recording():
            return INVALID_SPAN
        attributes = self._endpoint.attributes()
        attributes["db.operation.name"] = self._name
        attributes["db.query.text"] = "\n".join(
            query_text(command, args) for command, args in self._commands[:MAX_QUERY_COMMANDS]
        )
        if len(self._commands) > 1:
            attributes["db.operation.batch.size"] = len(self._commands)
        return start_span(self._calls.tracer, self._name, attributes)

    def end(self, answers: Any) -> None:
        """Record what the server answered.

        Args:
            answers: One for each command.
        """
        duration_s = perf_counter() - self._started
        status: Status = "ok"
        if self._counted:
            for (command, args), answer in zip(self._commands, answers, strict=False):
                status = self._count(command, args, answer)
        self._finish(duration_s, "ok" if len(self._commands) > 1 else status, None)

    def fail(self, error: BaseException) -> None:
        """Record that there are no answers.

        Args:
            error: Why.
        """
        duration_s = perf_counter() - self._started
        kind = error_name(error)
        if self._counted:
            for command, _ in self._commands:
                self._calls.caches.operations.add((self._cache, command.operation, "error"))
        if type(error).__name__ != "WatchError":  # another client was quicker: what WATCH is for
            fail_span(self._span, kind, _response_status(error))
        self._finish(duration_s, "error", kind)

    @property
    def _cache(self) -> str:
        return f"redis/{self._endpoint.namespace}"

    def _count(self, command: Command, args: Sequence[Any], answer: Any) -> Status:
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

    def _finish(self, duration_s: float, status: Status, error: str | None) -> None:
        span = self._span
        span.end()
        if self._waits:
            return
        context = sampled_context(span)
        self._calls.durations.record((self._endpoint, self._name, error), duration_s, context)
        if self._counted:
            self._calls.caches.durations.record((self._cache, self._operation, status), duration_s, context)


def _duration_attributes(key: Key) -> dict[str, Any]:
    endpoint, name, error = key
    attributes = {**endpoint.attributes(), "db.operation.name": name}
    if error is not None:
        attributes["error.type"] = error
    return attributes


def _response_status(error: BaseException) -> dict[str, str]:
    """Give the prefix of the server's error (`WRONGTYPE`), which redis-py takes off those it knows."""
    status = getattr(error, "status_code", None)
    if status is None and error.args and type(error).__module__.startswith("redis."):
        prefix = _ERROR_PREFIX.match(str(error.args[0]))
        status = prefix[0] if prefix else None
    return {"db.response.status_code": status} if status is not None else {}


def _endpoint(client: Any) -> _Endpoint:
    holder = getattr(client, "connection_pool", None) or client
    endpoint: _Endpoint | None = getattr(holder, ENDPOINT, None)
    if endpoint is None:
        options = getattr(holder, "connection_kwargs", None) or {}
        address = options.get("path") or options.get("host")
        port = None if options.get("path") else options.get("port", 6379)
        endpoint = _Endpoint(
            str(options.get("db") or 0), address, int(port) if address and port is not None else None
        )
        with suppress(AttributeError):  # a cluster's client has slots
            setattr(holder, ENDPOINT, endpoint)
    return endpoint


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
