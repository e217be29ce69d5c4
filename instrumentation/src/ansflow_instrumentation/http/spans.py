"""SERVER spans that cost a fraction of the SDK's, and are the SDK's in all that can be seen.

A span of the SDK takes some 30 µs: each attribute is checked and locked, four containers are made, and at the
end all is copied. The attributes of a request are known, and clean. So `RequestSpan` keeps them in a plain
dictionary until somebody else adds one, makes containers when something is put into them, and is its own
read-only copy once it has ended. Span processors, limits, id generators and samplers are the provider's; the
SDK's own samplers are asked without a call.
"""

from collections.abc import Callable, Mapping
from random import getrandbits
from threading import Lock
from time import time_ns
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, Tracer
from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, StaticSampler, TraceIdRatioBased
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import Tracer as ApiTracer

__all__ = ["RequestSpan", "ServerSpans", "context_of"]

_UNSET = Status(StatusCode.UNSET)
_DROPPED = TraceFlags(TraceFlags.DEFAULT)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_RANDOM = TraceFlags.RANDOM_TRACE_ID
_NO_STATE = TraceState.get_default()
_MASK = TraceIdRatioBased.TRACE_ID_LIMIT

(_SPAN_KEY,) = set_span_in_context(INVALID_SPAN, Context())
"""The context's key of the current span."""

Attributes = dict[str, Any]


def context_of(span: ApiSpan, parent: Context | None) -> Context:
    """Make the context in which a request is served.

    Args:
        span: The request's span.
        parent: What was extracted from the request's headers (baggage, for one), if anything.

    Returns:
        A context with the span as the current one.
    """
    if parent:
        return Context({**parent, _SPAN_KEY: span})
    return Context({_SPAN_KEY: span})


class RequestSpan(Span):
    """A recording SERVER span.

    Args:
        tracer: Whose span it is.
        name: Low-cardinality name.
        context: Its identity.
        parent: Its parent's, if it has one.
        start_time: ns since the epoch.
        attributes: Clean ones, at most as many as the limits allow; owned by the span from now on.
    """

    _kind = SpanKind.SERVER
    _end_time: int | None = None
    _status = _UNSET
    _events: Any = ()
    _links: Any = ()
    _sampler = None
    _trace_config = None
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics = None

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        start_time: int,
        attributes: Attributes,
    ) -> None:
        # The SDK's constructor is what is saved here.
        self._tracer = tracer
        self._name = name
        self._context = context
        self._parent = parent
        self._start_time = start_time
        self._attributes: Any = attributes
        self._lock = Lock()

    @property
    def _resource(self) -> Any:  # type: ignore[override] # the tracer's may change, after a fork for one
        return self._tracer.resource

    @property
    def _instrumentation_info(self) -> Any:  # type: ignore[override]
        return self._tracer.instrumentation_info

    @property
    def _instrumentation_scope(self) -> Any:  # type: ignore[override]
        return self._tracer._instrumentation_scope

    @property
    def _span_processor(self) -> Any:  # type: ignore[override]
        return self._tracer.span_processor

    @property
    def _limits(self) -> Any:
        return self._tracer._span_limits

    def set_attribute(self, key: str, value: Any) -> None:
        """Set an attribute, as the SDK does: cleaned, and within the limits."""
        self._bound_attributes()
        super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes, as the SDK does."""
        self._bound_attributes()
        super().set_attributes(attributes)

    def _add_event(self, event: Any) -> None:
        with self._lock:
            if self._end_time is None and not self._events:
                self._events = BoundedList(self._limits.max_events)
        super()._add_event(event)

    def _add_link(self, link: Link) -> None:
        with self._lock:
            if self._end_time is None and not self._links:
                self._links = BoundedList(self._limits.max_links)
        super()._add_link(link)

    def _bound_attributes(self) -> None:
        with self._lock:
            if type(self._attributes) is dict and self._end_time is None:
                limits = self._limits
                self._attributes = BoundedAttributes(
                    limits.max_span_attributes,
                    self._attributes,
                    immutable=False,
                    max_value_len=limits.max_span_attribute_length,
                )

    def complete(self, name: str, attributes: Mapping[str, Any], end_time: int) -> None:
        """Set what is known at the end only, and end the span.

        Args:
            name: Final name.
            attributes: Clean ones.
            end_time: ns since the epoch.
        """
        with self._lock:
            if self._end_time is not None:
                return
            self._name = name
            if type(self._attributes) is dict:
                self._attributes.update(attributes)
            else:
                self._attributes._set_items(attributes)
                self._attributes._immutable = True
            self._end_time = end_time
        processor = self._tracer.span_processor
        processor._on_ending(self)
        processor.on_end(self)

    def end(self, end_time: int | None = None) -> None:
        """End the span, if somebody else does."""
        self.complete(self._name, {}, end_time if end_time is not None else time_ns())

    def _readable_span(self) -> ReadableSpan:
        return self  # nothing changes any more


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
        if type(tracer) is Tracer and _limits_are_wide(tracer, self.MOST_ATTRIBUTES):
            self._decide = _root_decision(tracer.sampler)
            self._follows_parent = _follows_parent(tracer.sampler)
            random_ids = type(tracer.id_generator) is RandomIdGenerator
            extra = _RANDOM if tracer.id_generator.is_trace_id_random() else 0
            self._sampled = TraceFlags(TraceFlags.SAMPLED | extra)
            self._dropped = TraceFlags(extra)
            self._trace_id = _random_trace_id if random_ids else tracer.id_generator.generate_trace_id
            self._span_id = _random_span_id if random_ids else tracer.id_generator.generate_span_id

    def start(
        self,
        name: str,
        parent_context: Context | None,
        start_time: int,
        attributes: Callable[[], Attributes],
    ) -> ApiSpan:
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
            context = _span_context(
                trace_id, self._span_id(), self._sampled if sampled else self._dropped, _NO_STATE
            )
        elif self._follows_parent:
            sampled = bool(parent.trace_flags & TraceFlags.SAMPLED)
            flags = TraceFlags(parent.trace_flags & _RANDOM | sampled)
            context = _span_context(parent.trace_id, self._span_id(), flags, parent.trace_state)
        else:
            return self._start_by_tracer(name, parent_context, start_time, attributes)
        if not sampled or not tracer.span_processor._span_processors:  # type: ignore[attr-defined] # the SDK's
            # Nobody would see what it records (OTEL_TRACES_EXPORTER=none), and its ids are as good for logs.
            return NonRecordingSpan(context)
        span = RequestSpan(tracer, name, context, parent, start_time, attributes())  # type: ignore[arg-type] # the SDK's
        tracer.span_processor.on_start(span, parent_context)  # type: ignore[attr-defined] # as above
        return span

    def _start_by_tracer(
        self,
        name: str,
        parent_context: Context | None,
        start_time: int,
        attributes: Callable[[], Attributes],
    ) -> ApiSpan:
        return self._tracer.start_span(
            name,
            parent_context or Context(),
            SpanKind.SERVER,
            attributes(),
            start_time=start_time,
        )


def _tuple_context(trace_id: int, span_id: int, flags: TraceFlags, state: TraceState) -> SpanContext:
    """Make a valid local span context without the checks of its constructor, which take a microsecond."""
    context: SpanContext = tuple.__new__(SpanContext, (trace_id, span_id, False, flags, state, True))
    return context


def _checked_context(trace_id: int, span_id: int, flags: TraceFlags, state: TraceState) -> SpanContext:
    return SpanContext(trace_id, span_id, False, flags, state)


_TRIED = (1, 2, _SAMPLED, _NO_STATE)
_span_context = (
    _tuple_context
    if tuple(_tuple_context(*_TRIED)) == tuple(_checked_context(*_TRIED))
    else _checked_context  # another API
)


def _random_trace_id() -> int:
    return getrandbits(128) or 1


def _random_span_id() -> int:
    return getrandbits(64) or 1


def _limits_are_wide(tracer: Tracer, attributes: int) -> bool:
    limits = tracer._span_limits
    return (
        (limits.max_span_attributes is None or limits.max_span_attributes >= attributes)
        and limits.max_span_attribute_length is None
        and isinstance(tracer._tracer_metrics, NoOpTracerMetrics)
    )


def _root_decision(sampler: object) -> Callable[[int], bool] | None:
    """Give how a sampler decides on a trace that begins here, if it is the SDK's and known."""
    if isinstance(sampler, ParentBased):
        if type(sampler).should_sample is not ParentBased.should_sample:
            return None
        sampler = sampler._root
    if isinstance(sampler, StaticSampler) and type(sampler).should_sample is StaticSampler.should_sample:
        if sampler._decision is Decision.RECORD_ONLY:
            return None
        sampled = sampler._decision is Decision.RECORD_AND_SAMPLE
        return lambda _: sampled
    if (
        isinstance(sampler, TraceIdRatioBased)
        and type(sampler).should_sample is TraceIdRatioBased.should_sample
    ):
        bound = sampler.bound
        return lambda trace_id: trace_id & _MASK < bound
    return None


def _follows_parent(sampler: object) -> bool:
    """Tell whether a sampler does as a remote parent did."""

    def always(delegate: object, decision: Decision) -> bool:
        return type(delegate) is StaticSampler and delegate._decision is decision

    return (
        isinstance(sampler, ParentBased)
        and always(sampler._remote_parent_sampled, Decision.RECORD_AND_SAMPLE)
        and always(sampler._remote_parent_not_sampled, Decision.DROP)
    )
