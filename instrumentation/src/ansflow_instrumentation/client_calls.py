"""What calls to a database, a cache or another service share: exemplars, and how an error is named."""

from opentelemetry.trace import Span, SpanContext, get_current_span

__all__ = ["SCHEMA_URL", "current_sampled_context", "error_name", "sampled_context"]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"


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
