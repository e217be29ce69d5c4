"""A histogram or counter bound to one attribute set: a measurement costs a lock, an addition and no hashing.

The SDK validates and hashes a measurement's attributes each time (some 10 µs for five of them). Here the
first measurement of an attribute set goes through the instrument, as anybody's would; then the aggregations
it ended in (one for each reader and view) are looked up, and later measurements go to them directly. So
views, readers, temporality, cardinality limits and exemplar filters hold as ever.

What is used of the SDK is private to it. It is tried out once (`sdk_fits`); if it does not behave as
expected, every measurement goes through the instrument: slower, and as right.
"""

import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context
from opentelemetry.util.types import Attributes

from ansflow_instrumentation.recording import direct, sdk
from ansflow_instrumentation.recording.direct import Record
from ansflow_instrumentation.recording.exemplars import LatestByBucket

__all__ = ["BoundCounter", "BoundHistogram"]

_bound: "weakref.WeakSet[_Bound]" = weakref.WeakSet()
_EMPTY = Context()


class _Bound:
    """What histogram and counter share: finding the aggregations, and finding them again.

    They are looked up again when a reader is added or removed, and in a forked child, whose aggregations and
    locks may be others.
    """

    __slots__ = ("__weakref__", "_attributes", "_instrument")

    def __init__(self, instrument: Any, attributes: Attributes) -> None:
        self._instrument = instrument
        self._attributes = dict(attributes or {})
        self.unbind()
        _bound.add(self)

    def unbind(self) -> None:
        """Send the next measurement through the instrument, and look the aggregations up after it."""
        raise NotImplementedError

    def _aggregations(self) -> tuple[Any, Sequence[Any]] | None:
        """Find where the SDK put the measurement that went through the instrument.

        Returns:
            The measurement consumer and the aggregations; None where measurements must not pass the
            instrument by (another SDK, a disabled meter, an attribute set beyond the cardinality limit).
        """
        instrument = sdk.real_instrument(self._instrument)
        if instrument is None or not sdk.sdk_fits():
            return None
        return sdk.aggregations_of(instrument, self._attributes)


class BoundHistogram(_Bound):
    """A histogram bound to one attribute set.

    Attributes:
        record: Records a value, in the instrument's unit; with the context of the span that it was measured
        in,
            if that span is sampled, which makes it a candidate for an exemplar.
    """

    __slots__ = ("record",)

    record: Record

    def __init__(self, histogram: Histogram, attributes: Attributes) -> None:
        super().__init__(histogram, attributes)

    def unbind(self) -> None:
        """Send the next measurement through the instrument, and look the aggregations up after it."""
        self.record = self._record_and_bind

    def _record_and_bind(self, value: float, span_context: SpanContext | None = None) -> None:
        self._record_by_instrument(value, span_context)
        found = self._aggregations()
        if found is None:
            return
        consumer, aggregations = found
        if len(aggregations) == 1 and sdk.is_explicit_bucket_histogram(aggregations[0]):
            self.record = self._to_one(consumer, aggregations[0])
        elif all(map(sdk.is_explicit_bucket_histogram, aggregations)):
            self.record = self._to_each(consumer, aggregations)

    def _record_by_instrument(self, value: float, span_context: SpanContext | None) -> None:
        context = (
            set_span_in_context(NonRecordingSpan(span_context), _EMPTY)
            if span_context is not None
            else _EMPTY
        )
        self._instrument.record(value, self._attributes, context)

    def _to_one(self, consumer: Any, aggregation: Any) -> Record:
        exemplars = LatestByBucket.take_over(aggregation, consumer, self._attributes)
        return direct.record_to(aggregation, exemplars, consumer, self._record_and_bind)

    def _to_each(self, consumer: Any, aggregations: Sequence[Any]) -> Record:
        storages = consumer._reader_storages
        records = [self._to_one(consumer, aggregation) for aggregation in aggregations]

        def record(value: float, span_context: SpanContext | None = None) -> None:
            if consumer._reader_storages is not storages:
                self._record_and_bind(value, span_context)
                return
            for record_to_one in records:
                record_to_one(value, span_context)

        return record


class BoundCounter(_Bound):
    """A counter bound to one attribute set.

    Attributes:
        add: Adds an amount >= 0, in the instrument's unit.
    """

    __slots__ = ("add",)

    add: Callable[[float], None]

    def __init__(self, counter: Counter, attributes: Attributes) -> None:
        super().__init__(counter, attributes)

    def unbind(self) -> None:
        """Send the next measurement through the instrument, and look the aggregations up after it."""
        self.add = self._add_and_bind

    def _add_and_bind(self, amount: float) -> None:
        self._instrument.add(amount, self._attributes, _EMPTY)
        found = self._aggregations()
        if found is not None and len(found[1]) == 1 and sdk.is_sum(found[1][0]):
            self.add = direct.add_to(found[1][0], found[0], self._add_and_bind)


def _unbind_all() -> None:
    for bound in list(_bound):
        bound.unbind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unbind_all)
