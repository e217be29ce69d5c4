"""What all instrumentations share of the conventions: schema, buckets, exemplars, names of errors."""

from opentelemetry.trace import Span, SpanContext, get_current_span

__all__ = [
    "DATABASE_BOUNDS",
    "HTTP_BOUNDS",
    "SCHEMA_URL",
    "current_sampled_context",
    "error_name",
    "sampled_context",
]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"
"""The version of the conventions that the names are of."""

HTTP_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds, as advised for `http.server.request.duration` and `http.client.request.duration`."""

DATABASE_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Seconds, as advised for `db.client.operation.duration`."""


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


def error_name(error: BaseException) -> str:
    """Name an error's class.

    Args:
        error: The error.

    Returns:
        Its qualified name: `redis.exceptions.ConnectionError`, `ValueError`.
    """
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
