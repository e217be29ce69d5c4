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

from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.cache.redis_calls import Calls
from ansflow_instrumentation.cache.redis_pools import forget_pools, observing
from ansflow_instrumentation.database.pools import Pools
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches

__all__ = ["RedisInstrumentor"]

Function = Callable[..., Any]


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
        self._calls = Calls()
        for module in ("redis.connection", "redis.asyncio.connection"):
            when_imported(module, self._wrap_pools)
        when_imported("redis.client", self._wrap_client)
        when_imported("redis.cluster", self._wrap_cluster)
        when_imported("redis.asyncio.client", self._wrap_async_client)
        when_imported("redis.asyncio.cluster", self._wrap_async_cluster)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._active = False
        self._patches.restore()
        forget_pools(Pools.of())

    def _wrap_pools(self, connection: ModuleType) -> None:
        self._replace(connection.ConnectionPool, "__init__", observing(Pools.of()))

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
