"""How the outcome of each method of Django's caches is told from its arguments and its answer."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sized
from contextlib import suppress
from time import perf_counter
from typing import Any

from ansflow_instrumentation.cache.operations import CacheMeters, Status, current_owner
from ansflow_instrumentation.conventions import current_sampled_context

__all__ = ["METHODS", "MISSING", "Method", "Operation"]

MISSING = object()
"""Stands for what is not there."""

Function = Callable[..., Any]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Operation:
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
        self.value: Any = MISSING
        self.keys = 0
        self.default_used = False
        self.outside_s = 0.0
        self.started = perf_counter()


class Method:
    """How a method's outcome is told; this one is `ok` whatever it returns.

    Args:
        name: Of the method, without the `a` of its asynchronous twin.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def arguments(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Note of the arguments, or adapt, what the outcome is told by."""
        return args, kwargs

    def record(self, operation: Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        """Record a call that returned."""
        self._record(operation, "ok", alias, meters)

    def fail(self, operation: Operation, error: BaseException, alias: str, meters: CacheMeters) -> None:
        """Record a call that raised."""
        self._record(operation, "error", alias, meters)

    def _record(self, operation: Operation, status: Status, alias: str, meters: CacheMeters) -> None:
        duration_s = perf_counter() - operation.started - operation.outside_s
        meters.record(alias, self.name, status, duration_s, current_sampled_context())


class _Get(Method):
    def arguments(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        operation.default = args[1] if len(args) > 1 else kwargs.get("default")
        return args, kwargs

    def record(self, operation: Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        # The second half is for a stored None, or whatever else is the default as well.
        hit = answer is not operation.default or operation.value is answer
        self._record(operation, "hit" if hit else "miss", alias, meters)


class _HasKey(Method):
    def record(self, operation: Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        self._record(operation, "hit" if answer else "miss", alias, meters)


class _GetMany(Method):
    def arguments(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        keys = args[0] if args else kwargs.get("keys", ())
        if not isinstance(keys, Collection):  # an iterator can be counted by emptying it only
            keys = list(keys)
            args, kwargs = ((keys, *args[1:]), kwargs) if args else (args, {**kwargs, "keys": keys})
        with suppress(Exception):  # Django says what is wrong with keys
            operation.keys = len(set(keys))
        return args, kwargs

    def record(self, operation: Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        found = min(len(answer) if isinstance(answer, Sized) else 0, operation.keys)
        status = meters.count_lookups(alias, self.name, found, operation.keys - found)
        duration_s = perf_counter() - operation.started
        meters.durations.record((alias, self.name, status), duration_s, current_sampled_context())


class _GetOrSet(Method):
    """A miss is where the default was asked for.

    The default is the application's own: the time it takes is not the cache's, and what it asks of caches is
    counted.
    """

    def arguments(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        if len(args) > 1:
            return (args[0], _noted(args[1], operation), *args[2:]), kwargs
        if "default" in kwargs:
            return args, {**kwargs, "default": _noted(kwargs["default"], operation)}
        return args, kwargs

    def record(self, operation: Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        self._record(operation, "miss" if operation.default_used else "hit", alias, meters)


class _Increment(Method):
    def fail(self, operation: Operation, error: BaseException, alias: str, meters: CacheMeters) -> None:
        # How Django says that there is no such key.
        self._record(operation, "ok" if isinstance(error, ValueError) else "error", alias, meters)


class _SetMany(Method):
    def record(self, operation: Operation, answer: Any, alias: str, meters: CacheMeters) -> None:
        # A list of the keys that could not be stored.
        self._record(operation, "error" if answer else "ok", alias, meters)


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        _Get("get"),
        _GetMany("get_many"),
        _GetOrSet("get_or_set"),
        _HasKey("has_key"),
        Method("set"),
        _SetMany("set_many"),
        Method("add"),
        Method("touch"),
        Method("delete"),
        Method("delete_many"),
        Method("clear"),
        _Increment("incr"),
        _Increment("decr"),
        _Increment("incr_version"),
        _Increment("decr_version"),
    )
}
"""The operations. https://docs.djangoproject.com/en/stable/topics/cache/#basic-usage"""


def _noted(default: Any, operation: Operation) -> Function:
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
