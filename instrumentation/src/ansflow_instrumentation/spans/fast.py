"""A span that costs a fraction of the SDK's, and is the SDK's in all that can be seen.

A span of the SDK takes some 30 µs: each attribute is checked and locked, four containers are made, and at the
end all is copied. What an instrumentation says of a request or a query is known, and clean. So `FastSpan`
keeps its attributes in a plain dictionary until somebody else adds one, makes containers when something is
put into them, and is its own read-only copy once it has ended. Processors, limits and resources are the
provider's.
"""

from collections.abc import Mapping
from threading import Lock
from time import time_ns
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan, Span, Tracer
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

__all__ = ["UNSET", "ClientSpan", "FastSpan", "ServerSpan"]

UNSET = Status(StatusCode.UNSET)
"""The status of every cheap span that has no other."""

Attributes = dict[str, Any]


class FastSpan(Span):
    """A recording span, of the kind that its subclass says.

    Args:
        tracer: Whose span it is.
        name: Low-cardinality name.
        context: Its identity.
        parent: Its parent's, if it has one.
        start_time: ns since the epoch.
        attributes: Clean ones, at most as many as the limits allow; owned by the span from now on.
    """

    _end_time: int | None = None
    _status = UNSET
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


class ServerSpan(FastSpan):
    """A recording SERVER span."""

    _kind = SpanKind.SERVER


class ClientSpan(FastSpan):
    """A recording CLIENT span."""

    _kind = SpanKind.CLIENT
