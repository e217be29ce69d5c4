"""The spans of requests, which begin a trace or go on with a remote one."""

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context, create_key
from opentelemetry.sdk.trace import Tracer
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanKind,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Tracer as ApiTracer

from ansflow_instrumentation.spans import sdk
from ansflow_instrumentation.spans.fast import ServerSpan

__all__ = ["OWNER_KEY", "ServerSpans", "context_of"]

(_SPAN_KEY,) = set_span_in_context(INVALID_SPAN, Context())
"""The context's key of the current span."""

Attributes = dict[str, Any]


OWNER_KEY = create_key("ansflow-request-owner")
"""The context's key of what records the request that is being served."""


def context_of(span: Span, parent: Context | None, owner: object) -> Context:
    """Make the context in which a request is served.

    Args:
        span: The request's span.
        parent: What was extracted from the request's headers (baggage, for one), if anything.
        owner: What records the request; an application inside, over whatever interface, finds it there.

    Returns:
        A context with the span as the current one.
    """
    if parent:
        return Context({**parent, _SPAN_KEY: span, OWNER_KEY: owner})
    return Context({_SPAN_KEY: span, OWNER_KEY: owner})


class ServerSpans:
    """Starts the spans of requests.

    Args:
        tracer: From the global provider. If it is not the SDK's, or is set up in a way that is not known here
            (another sampler, limits that a request's attributes may exceed, the SDK's metrics about itself),
            spans are the tracer's own.
    """

    MOST_ATTRIBUTES = 24
    """More than a request's own attributes can be."""

    def __init__(self, tracer: ApiTracer) -> None:
        self._tracer = tracer
        self._decide: Callable[[int], bool] | None = None
        if type(tracer) is Tracer and sdk.is_fast(tracer, self.MOST_ATTRIBUTES):
            self._decide = sdk.root_decision(tracer.sampler)
            self._follows_parent = sdk.follows_remote_parent(tracer.sampler)
            extra = sdk.RANDOM if tracer.id_generator.is_trace_id_random() else 0
            self._sampled = TraceFlags(sdk.SAMPLED | extra)
            self._dropped = TraceFlags(extra)
            self._trace_id = sdk.trace_ids(tracer.id_generator)
            self._span_id = sdk.span_ids(tracer.id_generator)

    def start(
        self,
        name: str,
        parent_context: Context | None,
        start_time: int,
        attributes: Callable[[], Attributes],
    ) -> Span:
        """Start a SERVER span.

        Args:
            name: What is known of it before the route is.
            parent_context: Extracted from the headers; None for a new trace.
            start_time: ns since the epoch.
            attributes: Makes the attributes; asked only if the span is recorded, or a sampler wants them.

        Returns:
            The span: recording, or not.
        """
        tracer = self._tracer
        parent = None
        if parent_context:
            parent = get_current_span(parent_context).get_span_context()
            if not parent.is_valid:
                parent = None
        if self._decide is None or not tracer._tracer_config.is_enabled:  # type: ignore[attr-defined] # the SDK's
            return self._start_by_tracer(name, parent_context, start_time, attributes)
        if parent is None:
            trace_id = self._trace_id()
            sampled = self._decide(trace_id)
            context = sdk.local_context(
                trace_id, self._span_id(), self._sampled if sampled else self._dropped, sdk.NO_STATE
            )
        elif self._follows_parent:
            sampled = bool(parent.trace_flags & sdk.SAMPLED)
            flags = TraceFlags(parent.trace_flags & sdk.RANDOM | sampled)
            context = sdk.local_context(parent.trace_id, self._span_id(), flags, parent.trace_state)
        else:
            return self._start_by_tracer(name, parent_context, start_time, attributes)
        if not sampled or not tracer.span_processor._span_processors:  # type: ignore[attr-defined] # the SDK's
            # Nobody would see what it records (OTEL_TRACES_EXPORTER=none), and its ids are as good for logs.
            return NonRecordingSpan(context)
        span = ServerSpan(tracer, name, context, parent, start_time, attributes())  # type: ignore[arg-type] # the SDK's
        tracer.span_processor.on_start(span, parent_context)  # type: ignore[attr-defined] # as above
        return span

    def _start_by_tracer(
        self,
        name: str,
        parent_context: Context | None,
        start_time: int,
        attributes: Callable[[], Attributes],
    ) -> Span:
        return self._tracer.start_span(
            name,
            parent_context or Context(),
            SpanKind.SERVER,
            attributes(),
            start_time=start_time,
        )
