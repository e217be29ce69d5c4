"""A measured block of the application: its span, current while it runs, and its time."""

import contextlib
import functools
import inspect
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import Token
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

from ansflow_instrumentation.business.labels import warn_once

__all__ = ["Measured", "MeasuredBlock", "error_type_of"]

P = ParamSpec("P")
R = TypeVar("R")
MeasuredT = TypeVar("MeasuredT", bound="Measured")


class Measured:
    """What a block is given: says how it ends. Without an SDK it takes what it is told, and records nothing.

    A block that was entered before a fork and left in the child as well is recorded by the parent only.
    """

    __slots__ = ("_pid", "_span", "_started", "_token")

    def __init__(self) -> None:
        self._span: Span | None = None
        self._token: Token[Context] | None = None

    def _start(
        self,
        tracer: Tracer,
        name: str,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        context: Context | None = None,
    ) -> None:
        self._pid = os.getpid()
        self._span = tracer.start_span(name, kind=kind, attributes=attributes)
        self._token = context_api.attach(set_span_in_context(self._span, context))
        self._started = time.perf_counter()

    def _detach(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            # Of another context if a generator is finalised there; then there is nothing to put back.
            with contextlib.suppress(ValueError, RuntimeError):
                token.var.reset(token)

    def _is_own(self) -> bool:
        return self._span is not None and self._pid == os.getpid()

    def _exemplar(self) -> SpanContext | None:
        span_context = self._span.get_span_context() if self._span else None
        return span_context if span_context is not None and span_context.trace_flags.sampled else None

    def _end_span(
        self, attributes: dict[str, AttributeValue], error_type: str, error: BaseException | None
    ) -> None:
        span = self._span
        if span is None:
            return
        if span.is_recording():
            span.set_attributes(attributes)
            if error_type:
                if isinstance(error, Exception):
                    span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, error_type))
        span.end()

    def _begin(self) -> None:
        raise NotImplementedError

    def _finish(self, duration_s: float, error: BaseException | None) -> None:
        raise NotImplementedError


class MeasuredBlock(
    contextlib.AbstractContextManager[MeasuredT], contextlib.AbstractAsyncContextManager[MeasuredT]
):
    """A context manager for `with` and `async with`, and a decorator for functions of every kind.

    It may be entered again, also before it is left, and by several tasks and threads at once: each time is a
    block of its own.

    Args:
        make: Makes what the block is given.
    """

    def __init__(self, make: Callable[[], MeasuredT]) -> None:
        self._make = make
        self._open: dict[object, list[MeasuredT]] = {}

    def __enter__(self) -> MeasuredT:
        measured = self._make()
        try:
            measured._begin()
        except Exception as error:  # noqa: BLE001 # telemetry must not stop the application
            warn_once("begin", "A business measurement could not be begun: %r", error, error=error)
        self._open.setdefault(_who_runs(), []).append(measured)
        return measured

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record how the block ended; whatever it raised goes on."""
        measured = self._close()
        if measured._span is None:
            return
        duration_s = time.perf_counter() - measured._started
        measured._detach()
        try:
            if measured._is_own():
                measured._finish(duration_s, error)
        except Exception as failure:  # noqa: BLE001 # as above
            warn_once("finish", "A business measurement could not be recorded: %r", failure, error=failure)

    async def __aenter__(self) -> MeasuredT:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record how the block ended; whatever it raised goes on."""
        self.__exit__(kind, error, traceback)

    def _close(self) -> MeasuredT:
        """Give what was entered last by whoever runs; if somebody else entered it, the last of all."""
        who = _who_runs()
        if who not in self._open:
            who = next(reversed(self._open))
        measured = self._open[who].pop()
        if not self._open[who]:
            del self._open[who]
        return measured

    def _again(self) -> Self:
        return type(self)(self._make)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Measure each call of a function.

        Args:
            function: A function or coroutine function; or a generator function, sync or async, of which each
                iteration from the first value to its end is measured (an async one cannot be sent values).

        Returns:
            The function, measured.
        """
        wrapper: Callable[..., Any]
        if inspect.iscoroutinefunction(function):

            async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

        elif inspect.isasyncgenfunction(function):

            async def wrapper(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Any]:
                with self._again():
                    async with contextlib.aclosing(function(*args, **kwargs)) as values:
                        async for value in values:
                            yield value

        elif inspect.isgeneratorfunction(function):

            def wrapper(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
                with self._again():
                    return (yield from function(*args, **kwargs))

        else:

            def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._again():
                    return function(*args, **kwargs)

        return cast(Callable[P, R], functools.wraps(function)(wrapper))


def _who_runs() -> object:
    """Tell tasks and threads apart: which of them runs this."""
    asyncio = sys.modules.get("asyncio")  # who runs no loop need not import it
    task = None
    if asyncio is not None:
        with contextlib.suppress(RuntimeError):  # no loop in this thread
            task = asyncio.current_task()
    return task or threading.get_ident()


def error_type_of(error: BaseException) -> str:
    """Name the class of an error.

    Args:
        error: What was raised.

    Returns:
        The fully qualified name of its class; of built-in ones the name alone.

    Source:
        https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/
    """
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
