"""Django's cache framework: each operation on a configured cache is counted and timed, whatever the backend.

The methods are replaced on the backend's class and the classes below it. One call of the application is one
operation: what a method calls on the same cache in turn (`get_or_set` its `get` and `add`, `aget` its `get`
in a thread) is part of it.

`get`, `get_many`, `get_or_set` and `has_key` (`key in cache`) are hits and misses; `get_many` is one for each
key. Everything else is `ok`, also where it finds no key to touch, to delete or to increment, which is an
answer and no failure; or `error`, if it raises, or says that it could not store.
"""

import inspect
from collections.abc import Callable, Collection
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.cache.django_methods import METHODS, MISSING, Method, Operation
from ansflow_instrumentation.cache.operations import cache_meters, current_owner
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches
from ansflow_instrumentation.survive import report_once, survive

__all__ = ["DjangoCacheInstrumentor"]

ALIAS = "_ansflow_alias"
"""Attribute of a backend that Django made for an alias of the settings; others are not counted."""

Function = Callable[..., Any]


class DjangoCacheInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Counts and times the operations on every cache in Django's settings."""

    _patches = Patches()
    _wrapped: ClassVar[set[type]] = set()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Give what must be installed.

        Returns:
            Nothing: it waits for Django to be imported.
        """
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._active = True
        when_imported("django.core.cache", self._wrap_handler)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._active = False
        self._patches.restore()
        self._wrapped.clear()

    def _wrap_handler(self, cache: ModuleType) -> None:
        if self._active:
            self._patches.replace(cache.CacheHandler, "create_connection", self._creating)

    def _creating(self, original: Function) -> Function:
        def create_connection(handler: Any, alias: str) -> Any:
            backend = original(handler, alias)
            with survive(f"Instrumenting the cache {alias!r}"):
                self._wrap_class(type(backend))
                setattr(backend, ALIAS, alias)
            return backend

        return create_connection

    def _wrap_class(self, backend: type) -> None:
        if backend in self._wrapped:  # Django makes a backend for each thread, and for each request over ASGI
            return
        for owner in backend.__mro__[:-1]:
            for name, method in METHODS.items():
                self._patches.replace(owner, name, partial(_call, method))
                self._patches.replace(owner, f"a{name}", partial(_async_call, method))
        self._wrapped.add(backend)


def _call(method: Method, original: Function) -> Function:
    if method.name == "get" and original.__module__.startswith("django.core.cache."):
        original = _noting_value(original)

    def call(cache: Any, *args: Any, **kwargs: Any) -> Any:
        alias = getattr(cache, ALIAS, None)
        if alias is None or _is_under_way(cache):
            return original(cache, *args, **kwargs)
        operation = Operation(cache)
        args, kwargs = method.arguments(operation, args, kwargs)
        token = current_owner.set(operation)
        try:
            try:
                answer = original(cache, *args, **kwargs)
            finally:
                current_owner.reset(token)
        except BaseException as error:
            _record(method.fail, operation, error, alias)
            raise
        _record(method.record, operation, answer, alias)
        return answer

    return call


def _async_call(method: Method, original: Function) -> Function:
    if not inspect.iscoroutinefunction(original):
        return original  # what it calls is counted

    async def call(cache: Any, *args: Any, **kwargs: Any) -> Any:
        alias = getattr(cache, ALIAS, None)
        if alias is None or _is_under_way(cache):
            return await original(cache, *args, **kwargs)
        operation = Operation(cache)
        args, kwargs = method.arguments(operation, args, kwargs)
        token = current_owner.set(operation)
        try:
            try:
                answer = await original(cache, *args, **kwargs)
            finally:
                current_owner.reset(token)
        except BaseException as error:
            _record(method.fail, operation, error, alias)
            raise
        _record(method.record, operation, answer, alias)
        return answer

    return call


def _record(record: Function, operation: Operation, outcome: Any, alias: str) -> None:
    try:
        record(operation, outcome, alias, cache_meters())
    except Exception:  # noqa: BLE001 # the application has its answer, or gets its error
        report_once("Recording an operation on a cache")


def _is_under_way(cache: Any) -> bool:
    operation = current_owner.get()
    return isinstance(operation, Operation) and operation.cache is cache


def _noting_value(original: Function) -> Function:
    """Note what a backend of Django's finds: where the default is None, a stored None looks like a miss.

    Only there: a class of the application's may act on the default that it is given.
    """

    def get(cache: Any, key: Any, default: Any = None, version: Any = None) -> Any:
        value = original(cache, key, MISSING, version)
        operation = current_owner.get()
        if isinstance(operation, Operation) and operation.cache is cache:
            operation.value = value
        return default if value is MISSING else value

    return get
