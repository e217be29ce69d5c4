"""What calls to a database, a cache or another service share: the span, and how an error is named."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer, get_current_span

__all__ = [
    "SCHEMA_URL",
    "current_sampled_context",
    "error_name",
    "fail_span",
    "sampled_context",
    "start_span",
]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"

_ERROR = Status(StatusCode.ERROR)


def start_span(tracer: Tracer, name: str, attributes: Mapping[str, Any]) -> Span:
    """Start the span of a call, below the current one.

    Args:
        tracer: The instrumentation's.
        name: Low-cardinality name.
        attributes: What is known before the call.

    Returns:
        A CLIENT span, which is not made the current one.
    """
    return tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def sampled_context(span: Span) -> SpanContext | None:
    """Give the context that an exemplar may point to.

    Args:
        span: The call's.

    Returns:
        The span's context if the span is sampled, else None.
    """
    context = span.get_span_context()
    return context if context.trace_flags & 1 else None


def current_sampled_context() -> SpanContext | None:
    """Give the context that an exemplar may point to, for what has no span of its own.

    Returns:
        The current span's context if that span is sampled, else None.
    """
    return sampled_context(get_current_span())


def fail_span(span: Span, error_type: str, attributes: Mapping[str, Any] | None = None) -> None:
    """Say on a span that the call failed.

    The exception itself is recorded once, by the request that it ends, if it does: its message may quote
    values of a query.

    Args:
        span: The call's.
        error_type: Value of `error.type`.
        attributes: More that is known of the failure.
    """
    if span.is_recording():
        span.set_attributes({**(attributes or {}), "error.type": error_type})
        span.set_status(_ERROR)


def error_name(error: BaseException) -> str:
    """Name an error's class.

    Args:
        error: The error.

    Returns:
        Its qualified name: `redis.exceptions.ConnectionError`, `ValueError`.
    """
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
