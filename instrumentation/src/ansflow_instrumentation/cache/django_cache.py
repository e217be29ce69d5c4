"""Django's cache framework: each operation on a configured cache is counted and timed, whatever the backend.

The methods are replaced on the backend's class and the classes below it. One call of the application is one
operation: what a method calls on the same cache in turn (`get_or_set` its `get` and `add`, `aget` its `get`
in a thread) is part of it.

`get`, `get_many`, `get_or_set` and `has_key` (`key in cache`) are hits and misses; `get_many` is one for each
key. Everything else is `ok`, also where it finds no key to touch, to delete or to increment, which is an
answer and no failure; or `error`, if it raises, or says that it could not store.
"""

import inspect
from collections.abc import Callable, Collection, Mapping, Sized
from contextlib import suppress
from functools import partial
from time import perf_counter
from types import ModuleType
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.cache.operations import CacheMeters, Status, cache_meters, current_owner
from ansflow_instrumentation.client_calls import current_sampled_context
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches
from ansflow_instrumentation.survive import survive

__all__ = ["DjangoCacheInstrumentor"]

ALIAS = "_ansflow_alias"
"""Attribute of a backend that Django made for an alias of the settings; others are not counted."""

_MISSING = object()

Function = Callable[..., Any]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class _Operation:
    """One call of the application under way.

    Attributes:
        cache: The backend.
        default: What the application asked to be given for a missing key.
        value: What Django's backend itself found, also below a class of the application's.
        keys: How many keys were asked for.
        default_used: Whether `get_or_set` asked for its default.
        outside_s: Seconds spent in the application's code that makes the default.
        started: When, by `perf_counter`.
    """

    __slots__ = ("cache", "default", "default_used", "keys", "outside_s", "started", "value")

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self.default: Any = None
        self.value: Any = _MISSING
        self.keys = 0
        self.default_used = False
        self.outside_s = 0.0
        self.started = perf_counter()


class _Method:
    """How a method's outcome is told; this one is `ok` whatever it returns.

    Args:
        name: Of the method, without the `a` of its asynchronous twin.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def arguments(self, operation: _Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Note of the arguments, or adapt, what the outcome is told by."""
        return args, kwargs

    def record(self, operation: _Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        """Record a call that returned."""
        self._record(operation, "ok", alias, meters)

    def fail(self, operation: _Operation, error: BaseException, alias: str, meters: CacheMeters) -> None:
        """Record a call that raised."""
        self._record(operation, "error", alias, meters)

    def _record(self, operation: _Operation, status: Status, alias: str, meters: CacheMeters) -> None:
        duration_s = perf_counter() - operation.started - operation.outside_s
        meters.record(alias, self.name, status, duration_s, current_sampled_context())


class _Get(_Method):
    def arguments(self, operation: _Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        operation.default = args[1] if len(args) > 1 else kwargs.get("default")
        return args, kwargs

    def record(self, operation: _Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        # The second half is for a stored None, or whatever else is the default as well.
        hit = answer is not operation.default or operation.value is answer
        self._record(operation, "hit" if hit else "miss", alias, meters)


class _HasKey(_Method):
    def record(self, operation: _Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        self._record(operation, "hit" if answer else "miss", alias, meters)


class _GetMany(_Method):
    def arguments(self, operation: _Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        keys = args[0] if args else kwargs.get("keys", ())
        if not isinstance(keys, Collection):  # an iterator can be counted by emptying it only
            keys = list(keys)
            args, kwargs = ((keys, *args[1:]), kwargs) if args else (args, {**kwargs, "keys": keys})
        with suppress(TypeError):  # Django says what is wrong with keys
            operation.keys = len(set(keys))
        return args, kwargs

    def record(self, operation: _Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        found = min(len(answer) if isinstance(answer, Sized) else 0, operation.keys)
        status = meters.count_lookups(alias, self.name, found, operation.keys - found)
        duration_s = perf_counter() - operation.started
        meters.durations.record((alias, self.name, status), duration_s, current_sampled_context())


class _GetOrSet(_Method):
    """A miss is where the default was asked for.

    The default is the application's own: the time it takes is not the cache's, and what it asks of caches is
    counted.
    """

    def arguments(self, operation: _Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        if len(args) > 1:
            return (args[0], _noted(args[1], operation), *args[2:]), kwargs
        if "default" in kwargs:
            return args, {**kwargs, "default": _noted(kwargs["default"], operation)}
        return args, kwargs

    def record(self, operation: _Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        self._record(operation, "miss" if operation.default_used else "hit", alias, meters)


class _Increment(_Method):
    def fail(self, operation: _Operation, error: BaseException, alias: str, meters: CacheMeters) -> None:
        # How Django says that there is no such key.
        self._record(operation, "ok" if isinstance(error, ValueError) else "error", alias, meters)


class _SetMany(_Method):
    def record(self, operation: _Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        # A list of the keys that could not be stored.
        self._record(operation, "error" if answer else "ok", alias, meters)


METHODS: Mapping[str, _Method] = {
    method.name: method
    for method in (
        _Get("get"),
        _GetMany("get_many"),
        _GetOrSet("get_or_set"),
        _HasKey("has_key"),
        _Method("set"),
        _SetMany("set_many"),
        _Method("add"),
        _Method("touch"),
        _Method("delete"),
        _Method("delete_many"),
        _Method("clear"),
        _Increment("incr"),
        _Increment("decr"),
        _Increment("incr_version"),
        _Increment("decr_version"),
    )
}
"""The operations. https://docs.djangoproject.com/en/stable/topics/cache/#basic-usage"""


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


def _call(method: _Method, original: Function) -> Function:
    if method.name == "get" and original.__module__.startswith("django.core.cache."):
        original = _noting_value(original)

    def call(cache: Any, *args: Any, **kwargs: Any) -> Any:
        alias = getattr(cache, ALIAS, None)
        if alias is None or _is_under_way(cache):
            return original(cache, *args, **kwargs)
        operation = _Operation(cache)
        args, kwargs = method.arguments(operation, args, kwargs)
        token = current_owner.set(operation)
        try:
            try:
                answer = original(cache, *args, **kwargs)
            finally:
                current_owner.reset(token)
        except BaseException as error:
            method.fail(operation, error, alias, cache_meters())
            raise
        method.record(operation, answer, alias, cache_meters())
        return answer

    return call


def _async_call(method: _Method, original: Function) -> Function:
    if not inspect.iscoroutinefunction(original):
        return original  # what it calls is counted

    async def call(cache: Any, *args: Any, **kwargs: Any) -> Any:
        alias = getattr(cache, ALIAS, None)
        if alias is None or _is_under_way(cache):
            return await original(cache, *args, **kwargs)
        operation = _Operation(cache)
        args, kwargs = method.arguments(operation, args, kwargs)
        token = current_owner.set(operation)
        try:
            try:
                answer = await original(cache, *args, **kwargs)
            finally:
                current_owner.reset(token)
        except BaseException as error:
            method.fail(operation, error, alias, cache_meters())
            raise
        method.record(operation, answer, alias, cache_meters())
        return answer

    return call


def _is_under_way(cache: Any) -> bool:
    operation = current_owner.get()
    return isinstance(operation, _Operation) and operation.cache is cache


def _noting_value(original: Function) -> Function:
    """Note what a backend of Django's finds: where the default is None, a stored None looks like a miss.

    Only there: a class of the application's may act on the default that it is given.
    """

    def get(cache: Any, key: Any, default: Any = None, version: Any = None) -> Any:
        value = original(cache, key, _MISSING, version)
        operation = current_owner.get()
        if isinstance(operation, _Operation) and operation.cache is cache:
            operation.value = value
        return default if value is _MISSING else value

    return get


def _noted(default: Any, operation: _Operation) -> Function:
    """Make a default for `get_or_set` that notes that it was asked for."""

    def given() -> Any:
        operation.default_used = True
        return default

    def called() -> Any:
        operation.default_used = True
        token = current_owner.set(None)
        started = perf_counter()
        try:
            return default()
        finally:
            operation.outside_s += perf_counter() - started
            current_owner.reset(token)

    async def awaited() -> Any:
        operation.default_used = True
        token = current_owner.set(None)
        started = perf_counter()
        try:
            return await default()
        finally:
            operation.outside_s += perf_counter() - started
            current_owner.reset(token)

    if inspect.iscoroutinefunction(default):
        return awaited
    return called if callable(default) else given
