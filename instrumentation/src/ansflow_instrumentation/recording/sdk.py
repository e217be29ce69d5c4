"""What `recording` uses of the SDK's inside, in one place, tried out once before it is relied upon."""

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics._internal import _view_instrument_match, aggregation
from opentelemetry.sdk.metrics._internal.exemplar import AlignedHistogramBucketExemplarReservoir
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.version import __version__ as sdk_version

from ansflow_instrumentation.recording import direct

__all__ = ["aggregations_of", "is_explicit_bucket_histogram", "is_sum", "real_instrument", "sdk_fits"]

_logger = logging.getLogger(__name__)


def real_instrument(instrument: Any) -> Any | None:
    """Find the SDK's instrument behind the API's proxy.

    Args:
        instrument: What a meter's `create_histogram` or `create_counter` returned.

    Returns:
        The SDK's instrument if it is one and enabled, else None.
    """
    real = getattr(instrument, "_real_instrument", instrument)
    if not isinstance(real, Histogram | Counter):
        return None
    is_enabled = getattr(real, "_is_enabled", None)
    return real if is_enabled is None or is_enabled() else None


def aggregations_of(instrument: Any, attributes: Mapping[str, Any]) -> tuple[Any, Sequence[Any]] | None:
    """Find the aggregations of an attribute set that has been recorded.

    Args:
        instrument: The SDK's.
        attributes: The attribute set.

    Returns:
        The measurement consumer and one aggregation for each reader and view; None where one is missing (the
        set went to the overflow's, say).
    """
    consumer = instrument._measurement_consumer
    found = []
    for storage in consumer._reader_storages.values():
        for match in storage._instrument_view_instrument_matches.get(instrument, ()):
            kept = match._view._attribute_keys
            filtered = (
                dict(attributes)
                if kept is None
                else {name: value for name, value in attributes.items() if name in kept}
            )
            key = _view_instrument_match._hash_attributes(filtered)
            one = match._attributes_aggregation.get(key)
            if one is None:
                return None
            found.append(one)
    return consumer, found


def is_explicit_bucket_histogram(candidate: object) -> bool:
    """Tell whether an aggregation is the SDK's own histogram of explicit buckets.

    Args:
        candidate: An aggregation.

    Returns:
        Whether its fields can be added to.
    """
    return type(candidate) is aggregation._ExplicitBucketHistogramAggregation


def is_sum(candidate: object) -> bool:
    """Tell whether an aggregation is the SDK's own sum.

    Args:
        candidate: An aggregation.

    Returns:
        Whether its value can be added to.
    """
    return type(candidate) is aggregation._SumAggregation


@functools.cache
def sdk_fits() -> bool:
    """Try the SDK's inside out: what is filled by hand must collect what `aggregate` gives.

    Returns:
        Whether they do. If not, there is one warning, and measurements go through the instruments.
    """
    try:
        fits = _histograms_agree() and _sums_agree()
    except Exception:  # noqa: BLE001 # any failure means that this SDK is another one
        fits = False
    if not fits:
        _logger.warning(
            "opentelemetry-sdk %s is not built as expected: metrics are right, but cost more", sdk_version
        )
    return fits


def _histograms_agree() -> bool:
    values = (0.003, 0.2, 0.2, 7.0)
    bounds = (0.005, 0.1, 1.0)
    official, ours = (
        aggregation._ExplicitBucketHistogramAggregation(
            attributes={"a": "b"},
            instrument_aggregation_temporality=aggregation.AggregationTemporality.DELTA,
            start_time_unix_nano=1,
            reservoir_builder=AlignedHistogramBucketExemplarReservoir,  # type: ignore[arg-type]
            boundaries=bounds,
        )
        for _ in range(2)
    )
    record = direct.record_to(ours, None, _Consumer(), _never)
    for value in values:
        official.aggregate(_measurement(value), False)
        record(value, None)
    cumulative = aggregation.AggregationTemporality.CUMULATIVE
    return bool(official.collect(cumulative, 2) == ours.collect(cumulative, 2))


def _sums_agree() -> bool:
    official, ours = (
        aggregation._SumAggregation(
            attributes={"a": "b"},
            instrument_is_monotonic=True,
            instrument_aggregation_temporality=aggregation.AggregationTemporality.DELTA,
            start_time_unix_nano=1,
            reservoir_builder=functools.partial(AlignedHistogramBucketExemplarReservoir, boundaries=()),
        )
        for _ in range(2)
    )
    add = direct.add_to(ours, _Consumer(), _never)
    for amount in (1, 2):
        official.aggregate(_measurement(amount), False)
        add(amount)
    cumulative = aggregation.AggregationTemporality.CUMULATIVE
    return bool(official.collect(cumulative, 2) == ours.collect(cumulative, 2))


class _Consumer:
    """Readers that never change."""

    _reader_storages: Mapping[object, object] = {}


def _never(*_: object) -> None:
    raise AssertionError("no reader was added")


def _measurement(value: float) -> Any:
    measurement = object.__new__(Measurement)
    object.__setattr__(measurement, "value", value)
    return measurement
