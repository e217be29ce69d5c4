"""CLIENT spans of calls that propagate a trace: they have an identity before the call, and no cost beyond."""

from collections.abc import Callable
from time import time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
)

from ansflow_instrumentation.database.spans import QuerySpan, QuerySpans

__all__ = ["CallSpans"]

_ERROR = Status(StatusCode.ERROR)


class CallSpans(QuerySpans):
    """Starts the spans of calls, and ends them."""

    def start(self, name: str, context: Context, attributes: Callable[[], dict[str, Any]]) -> Span:
        """Start a span that is not made the current one.

        Args:
            name: Low-cardinality name.
            context: Has its parent.
            attributes: Makes clean attributes; asked only if the span is recorded, or a sampler wants them.

        Returns:
            The span: recording, or not.
        """
        parent = get_current_span(context).get_span_context()
        tracer: Any = self._tracer
        if (
            not self._follows_parent
            or not parent.is_valid
            or parent.is_remote
            or not tracer._tracer_config.is_enabled
        ):
            span: Span = tracer.start_span(name, context, SpanKind.CLIENT, attributes())
            return span
        flags = parent.trace_flags & (TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
        identity = SpanContext(parent.trace_id, self._span_id(), False, TraceFlags(flags), parent.trace_state)
        if not flags & TraceFlags.SAMPLED:
            return NonRecordingSpan(identity)
        recorded = QuerySpan(tracer, name, identity, parent, time_ns(), attributes())
        tracer.span_processor.on_start(recorded, context)
        return recorded

    @staticmethod
    def end(span: Span, name: str, attributes: dict[str, Any], *, failed: bool) -> None:
        """End a span.

        Args:
            span: From `start`.
            name: Its name.
            attributes: What is known at the end; clean.
            failed: Whether the call did.
        """
        if not span.is_recording():
            return
        if failed:
            span.set_status(_ERROR)
        if isinstance(span, QuerySpan):
            span.complete(name, attributes, time_ns())
        else:
            span.set_attributes(attributes)
            span.end()
