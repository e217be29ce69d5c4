"""The spans of calls that this process makes, most of them inside of a request's."""

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
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
from opentelemetry.trace import Tracer as ApiTracer

from ansflow_instrumentation.spans import sdk
from ansflow_instrumentation.spans.fast import ClientSpan

__all__ = ["ClientSpans"]

MOST_ATTRIBUTES = 12
"""More than a call's own attributes can be."""

_ERROR = Status(StatusCode.ERROR)


class ClientSpans:
    """Makes the spans of calls: whole ones of calls that are over, or, to propagate them, before the call.

    Args:
        tracer: Whose they are. If it is not the SDK's, or is set up in a way that is not known here (another
            sampler, narrow limits), or where a call begins a trace, spans are the tracer's own.
    """

    def __init__(self, tracer: ApiTracer) -> None:
        self._tracer = tracer
        self._follows_parent = False
        if type(tracer) is Tracer:
            is_fast = sdk.is_fast(tracer, MOST_ATTRIBUTES)
            self._follows_parent = is_fast and sdk.follows_local_parent(tracer.sampler)
            self._span_id = sdk.span_ids(tracer.id_generator)

    def are_wanted(self, context: Context) -> bool:
        """Tell whether a span may be recorded.

        Args:
            context: The current one.

        Returns:
            False where the trace is certainly not sampled.
        """
        if not self._follows_parent:
            return True
        parent = get_current_span(context).get_span_context()
        return bool(parent.trace_flags & sdk.SAMPLED) or not parent.is_valid or parent.is_remote

    def record(
        self,
        name: str,
        context: Context,
        start_time: int,
        end_time: int,
        attributes: dict[str, Any],
        status: Status | None = None,
    ) -> SpanContext | None:
        """Record a call that has ended.

        Args:
            name: Low-cardinality name.
            context: In which it ran; has its parent.
            start_time: ns since the epoch.
            end_time: ns since the epoch.
            attributes: Clean ones, at most `MOST_ATTRIBUTES`; the span's from now on.
            status: If it failed.

        Returns:
            The span's context if it is sampled, to which an exemplar may point, else None.
        """
        parent = get_current_span(context).get_span_context()
        tracer: Any = self._tracer
        if (
            self._follows_parent
            and parent.is_valid
            and not parent.is_remote
            and tracer._tracer_config.is_enabled
            and tracer.span_processor._span_processors
        ):
            if not parent.trace_flags & sdk.SAMPLED:
                return None
            flags = TraceFlags(parent.trace_flags & sdk.RANDOM | sdk.SAMPLED)
            identity = sdk.local_context(parent.trace_id, self._span_id(), flags, parent.trace_state)
            fast = ClientSpan(tracer, name, identity, parent, start_time, attributes)
            if status is not None:
                fast._status = status
            tracer.span_processor.on_start(fast, context)
            fast.complete(name, {}, end_time)
            return identity
        return self._record_by_tracer(name, context, start_time, end_time, attributes, status)

    def _record_by_tracer(
        self,
        name: str,
        context: Context,
        start_time: int,
        end_time: int,
        attributes: Mapping[str, Any],
        status: Status | None,
    ) -> SpanContext | None:
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=start_time)
        if status is not None:
            span.set_status(status)
        span.end(end_time)
        identity = span.get_span_context()
        return identity if identity.trace_flags & sdk.SAMPLED else None

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
        flags = parent.trace_flags & (sdk.SAMPLED | sdk.RANDOM)
        identity = sdk.local_context(parent.trace_id, self._span_id(), TraceFlags(flags), parent.trace_state)
        if not flags & sdk.SAMPLED:
            return NonRecordingSpan(identity)
        recorded = ClientSpan(tracer, name, identity, parent, time_ns(), attributes())
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
        if isinstance(span, ClientSpan):
            span.complete(name, attributes, time_ns())
        else:
            span.set_attributes(attributes)
            span.end()
