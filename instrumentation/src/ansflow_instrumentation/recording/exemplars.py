"""An exemplar reservoir that costs one assignment a measurement."""

from typing import Any, Self

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Exemplar, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics._internal.exemplar import (
    AlignedHistogramBucketExemplarReservoir,
    ExemplarReservoir,
)
from opentelemetry.trace import SpanContext
from opentelemetry.util.types import Attributes

__all__ = ["LatestByBucket"]

Offer = tuple[float, int, SpanContext]


class LatestByBucket(ExemplarReservoir):
    """Keeps the latest sampled measurement of each bucket, as the SDK's aligned reservoir does.

    A bound histogram writes to `latest` itself; what comes through the instrument is the inner reservoir's.

    Source:
        https://opentelemetry.io/docs/specs/otel/metrics/sdk/#alignedhistogrambucketexemplarreservoir

    Attributes:
        latest: For each bucket the value, the time (ns since the epoch) and the span's context, or None.
    """

    def __init__(self, inner: ExemplarReservoir, buckets: int, filtered: Attributes) -> None:
        self.latest: list[Offer | None] = [None] * buckets
        self._buckets = buckets
        self._inner = inner
        self._filtered = filtered

    @classmethod
    def take_over(cls, aggregation: Any, consumer: Any, attributes: Attributes) -> Self | None:
        """Put a reservoir of this kind in the place of an aggregation's.

        Args:
            aggregation: The SDK's explicit-bucket histogram aggregation.
            consumer: The SDK's measurement consumer, which has the exemplar filter.
            attributes: All attributes of the measurements, also those that a view drops.

        Returns:
            The reservoir; None where the user chose another reservoir or filter (always_on, always_off).
        """
        reservoir = aggregation._reservoir
        if isinstance(reservoir, cls):
            return reservoir
        if type(reservoir) is not AlignedHistogramBucketExemplarReservoir or not isinstance(
            consumer._sdk_config.exemplar_filter, TraceBasedExemplarFilter
        ):
            return None
        kept = aggregation._attributes or {}
        filtered = {name: value for name, value in (attributes or {}).items() if name not in kept}
        ours = cls(reservoir, len(aggregation._boundaries) + 1, filtered)
        aggregation._reservoir = ours
        return ours

    def offer(self, value: float, time_unix_nano: int, attributes: Attributes, context: Context) -> None:
        """Take a measurement that came through the instrument."""
        self._inner.offer(value, time_unix_nano, attributes, context)

    def collect(self, point_attributes: Attributes) -> list[Exemplar]:
        """Give the exemplars since the last collection, and forget them.

        Args:
            point_attributes: Attributes of the metric's point.

        Returns:
            At most two a bucket: one that was recorded directly, one that came through the instrument.
        """
        latest, self.latest = self.latest, [None] * self._buckets
        exemplars = self._inner.collect(point_attributes)
        exemplars.extend(
            Exemplar(self._filtered, offer[0], offer[1], offer[2].span_id, offer[2].trace_id)
            for offer in latest
            if offer is not None
        )
        return exemplars
