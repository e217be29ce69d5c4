"""CLIENT spans of calls that are over: made at once, complete, at a fraction of the SDK's cost."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, StaticSampler
from opentelemetry.trace import SpanContext, SpanKind, Status, TraceFlags, get_current_span
from opentelemetry.trace import Tracer as ApiTracer

from ansflow_instrumentation.http.spans import RequestSpan, _limits_are_wide, _random_span_id

__all__ = ["QuerySpans"]

_SAMPLED = TraceFlags.SAMPLED
_RANDOM = TraceFlags.RANDOM_TRACE_ID

MOST_ATTRIBUTES = 12
"""More than a query's own attributes can be."""


class QuerySpan(RequestSpan):
    """A recording CLIENT span, all of whose attributes are known."""

    _kind = SpanKind.CLIENT


class QuerySpans:
    """Makes the spans of queries that have ended.

    Args:
        tracer: Whose they are. If it is not the SDK's, or is set up in a way that is not known here (another
            sampler, narrow limits), or where a query begins a trace, spans are the tracer's own.
    """

    def __init__(self, tracer: ApiTracer) -> None:
        self._tracer = tracer
        self._follows_parent = False
        if type(tracer) is Tracer:
            self._follows_parent = _follows_local_parent(tracer.sampler) and _limits_are_wide(
                tracer, MOST_ATTRIBUTES
            )
            random_ids = type(tracer.id_generator) is RandomIdGenerator
            self._span_id = _random_span_id if random_ids else tracer.id_generator.generate_span_id

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
        return bool(parent.trace_flags & _SAMPLED) or not parent.is_valid or parent.is_remote

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
            if not parent.trace_flags & _SAMPLED:
                return None
            identity = SpanContext(
                parent.trace_id,
                self._span_id(),
                False,
                TraceFlags(parent.trace_flags & _RANDOM | _SAMPLED),
                parent.trace_state,
            )
            fast = QuerySpan(tracer, name, identity, parent, start_time, attributes)
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
        return identity if identity.trace_flags & _SAMPLED else None


def _follows_local_parent(sampler: object) -> bool:
    """Tell whether a sampler does as a parent in this process did."""

    def always(delegate: object, decision: Decision) -> bool:
        return type(delegate) is StaticSampler and delegate._decision is decision

    return (
        isinstance(sampler, ParentBased)
        and type(sampler).should_sample is ParentBased.should_sample
        and always(sampler._local_parent_sampled, Decision.RECORD_AND_SAMPLE)
        and always(sampler._local_parent_not_sampled, Decision.DROP)
    )
