"""Puts the settings of streams into the SDK: buckets, attributes, and a limit with a visible overflow.

The SDK 1.45 has no cardinality limit: an attribute with a value for each user, host or URL is a series each,
for ever, in this process and in whatever stores it. Here an instrument has at most so many; what comes
beyond is counted in one more series with the attribute `otel.metric.overflow`, so that sums stay exact.
Source: https://opentelemetry.io/docs/specs/otel/metrics/sdk/#cardinality-limits

Measurements meet where the SDK keeps an instrument's aggregations by attribute set, whether they come
through the instrument or from `recording`. So the limit is in that dictionary: it costs something when a
series is made, and nothing when one is added to.
"""

import logging
import re
from typing import Any

from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal import metric_reader_storage
from opentelemetry.sdk.metrics._internal._view_instrument_match import _hash_attributes, _ViewInstrumentMatch
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.version import __version__ as sdk_version

from ansflow_instrumentation.configuration.rules import Rules
from ansflow_instrumentation.configuration.streams import LIMIT_OF_VIEW, LIMITS_VARIABLE, StreamSettings

__all__ = ["apply_stream_settings", "sdk_takes_settings"]

OVERFLOW = {"otel.metric.overflow": True}
"""https://opentelemetry.io/docs/specs/otel/metrics/sdk/#overflow-attribute"""

_OVERFLOW_KEY = _hash_attributes(OVERFLOW)

_logger = logging.getLogger(__name__)


class Series(dict[Any, Any]):
    """Aggregations by attribute set, as many as the limit allows.

    Whoever adds one holds the SDK's lock, asks `in` before, and reads what is there afterwards.

    Args:
        instrument: Name of the instrument, for the warning.
        limit: How many aggregations there may be, that of the overflow included.
    """

    def __init__(self, instrument: str, limit: int) -> None:
        super().__init__()
        self._instrument = instrument
        self._limit = limit

    def __setitem__(self, key: Any, aggregation: Any) -> None:
        if key in self or len(self) < self._limit - 1:
            super().__setitem__(key, aggregation)
            return
        # The aggregation of the first attribute set beyond the limit becomes that of all of them.
        aggregation._attributes = OVERFLOW
        self.setdefault(_OVERFLOW_KEY, aggregation)
        self.__class__ = FullSeries
        _logger.warning(
            "%s has %d series, its limit (%s): further attribute sets are counted in the series "
            "otel.metric.overflow=true",
            self._instrument,
            self._limit,
            LIMITS_VARIABLE,
        )

    def __missing__(self, key: Any) -> Any:
        return super().__getitem__(_OVERFLOW_KEY)


class FullSeries(Series):
    """The same at the limit: every further attribute set is there already, as the overflow."""

    def __contains__(self, key: object) -> bool:
        return True

    def __setitem__(self, key: Any, aggregation: Any) -> None:
        """Add nothing: there is no room."""

    def clear(self) -> None:
        """Forget the series, and make room."""
        super().clear()
        self.__class__ = Series  # type: ignore[assignment] # a class without fields of its own


def apply_stream_settings(settings: StreamSettings) -> None:
    """Make every stream of the providers that are created from now on follow the settings.

    A view of the user's own (from a configuration file, say) stays as it is; settings are for the instruments
    that no view selects.

    Args:
        settings: What the user set.
    """
    if sdk_takes_settings():
        vars(metric_reader_storage)["_ViewInstrumentMatch"] = _matches_with(settings)
    else:
        _logger.warning(
            "opentelemetry-sdk %s is not built as expected: buckets, attributes and limits of metrics are "
            "its own, whatever ANSFLOW_METRICS_* says",
            sdk_version,
        )


def _matches_with(settings: StreamSettings) -> type[_ViewInstrumentMatch]:
    class MatchWithSettings(_ViewInstrumentMatch):
        """A stream: an instrument, as a view shows it."""

        def __init__(
            self, view: View, instrument: Any, instrument_class_aggregation: dict[type, Any]
        ) -> None:
            name: str = instrument.name
            if view is metric_reader_storage._DEFAULT_VIEW:
                view = settings.view(name, is_histogram=isinstance(instrument, Histogram)) or view
            super().__init__(view, instrument, instrument_class_aggregation)
            limit = getattr(view, LIMIT_OF_VIEW, None) or settings.limit(name, _kind_of(instrument))
            self._attributes_aggregation = Series(name, limit)

    return MatchWithSettings


def _kind_of(instrument: object) -> str:
    """Give the kind's name in a configuration file: `ObservableUpDownCounter`, `_Gauge` and so on."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(instrument).__name__.lstrip("_")).lower()


def sdk_takes_settings() -> bool:
    """Try out whether the SDK keeps its series where they are expected.

    Returns:
        Whether a limit of two makes one series and an overflow that counts all the others, a dropped
        attribute is gone, and buckets are those that were set.
    """
    ours = _matches_with(
        StreamSettings(
            buckets=Rules({"tried": ((1.0, 2.0),)}),
            dropped_attributes=Rules({"tried": frozenset({"dropped"})}),
            limits=Rules({"tried": 2}),
        )
    )
    upstream = vars(metric_reader_storage)["_ViewInstrumentMatch"]
    reader = InMemoryMetricReader()
    try:
        vars(metric_reader_storage)["_ViewInstrumentMatch"] = ours
        # The warning that the limit is reached is no user's.
        _logger.disabled = True
        provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        histogram = provider.get_meter("tried").create_histogram("tried")
        for kept in ("a", "b", "c", "b", "a"):
            histogram.record(1.5, {"kept": kept, "dropped": kept})
        metrics: Any = reader.get_metrics_data()
        points = metrics.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
        provider.shutdown()
    except Exception:  # noqa: BLE001 # any failure means that this SDK is another one
        return False
    finally:
        vars(metric_reader_storage)["_ViewInstrumentMatch"] = upstream
        _logger.disabled = False
    found = [(dict(point.attributes), point.count, tuple(point.explicit_bounds)) for point in points]
    return found == [({"kept": "a"}, 2, (1.0, 2.0)), (OVERFLOW, 3, (1.0, 2.0))]
