"""prometheus_client's metric families as the SDK's own data points.

As the specification says, with three exceptions that the Python SDK asks for:

- It has no summaries. One of prometheus_client is a count and a sum, which is what a histogram without bounds
  is; quantiles, which only collectors of an application's own can have, are a gauge `<name>_quantile`.
- Its histograms have a least and a greatest value; Prometheus' have none, and so these are None, which is
  "not set" in OTLP.
- A unit that is not declared is taken from the name where Prometheus' naming rules leave no doubt.

Names stay as they are, without `_total`, which is added again wherever the metrics become Prometheus' own.

Source:
    https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

__all__ = ["Times", "metrics_of"]

UNITS: Mapping[str, str] = {
    "amperes": "A",
    "bytes": "By",
    "celsius": "Cel",
    "days": "d",
    "grams": "g",
    "hertz": "Hz",
    "hours": "h",
    "joules": "J",
    "meters": "m",
    "microseconds": "us",
    "milliseconds": "ms",
    "minutes": "min",
    "nanoseconds": "ns",
    "percent": "%",
    "ratio": "1",
    "seconds": "s",
    "volts": "V",
    "watts": "W",
}
"""Prometheus' units in UCUM; others stay as they are."""

UNITS_OF_NAMES = ("bytes", "celsius", "grams", "joules", "meters", "ratio", "seconds", "volts")
"""Base units (https://prometheus.io/docs/practices/naming/#base-units): the last word of a name is one."""

_CUMULATIVE = AggregationTemporality.CUMULATIVE

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Times:
    """When what is converted was recorded, in nanoseconds of Unix time.

    Attributes:
        now_ns: Of the collection.
        start_ns: When this process began, for series that do not say when they did.
        not_before_ns: When this process was forked, which is later than what it inherited says.
    """

    now_ns: int
    start_ns: int
    not_before_ns: int = 0

    def start(self, created_s: float | None) -> int:
        """Give the start of a series.

        Args:
            created_s: Its `_created`, in seconds of Unix time.

        Returns:
            Nanoseconds of Unix time.
        """
        start = self.start_ns if created_s is None else int(created_s * 1e9)
        return min(max(start, self.not_before_ns), self.now_ns)


@dataclass
class _Series:
    """The samples of one set of labels, by their names without the family's."""

    samples: dict[str, Any] = field(default_factory=dict)
    buckets: dict[float, Any] = field(default_factory=dict)
    quantiles: dict[str, Any] = field(default_factory=dict)

    def value(self, suffix: str) -> float | None:
        sample = self.samples.get(suffix)
        return None if sample is None else float(sample.value)


def metrics_of(family: Any, times: Times) -> list[Metric]:
    """Convert a family.

    Args:
        family: A `prometheus_client.Metric`.
        times: When it was recorded.

    Returns:
        The metrics that have points; none for histograms of gauges, for which OTLP has no type.
    """
    convert = _CONVERSIONS.get(family.type)
    if convert is None or (family.type == "info" and family.name == "target"):  # that is the resource
        return []
    return [metric for metric in convert(family, times) if metric.data.data_points]


def _counter(family: Any, times: Times) -> Iterator[Metric]:
    points = []
    for labels, series in _series_of(family):
        sample = series.samples.get("_total") or series.samples.get("")
        if sample is not None:
            start = times.start(series.value("_created"))
            exemplars = _exemplars([sample], times)
            points.append(NumberDataPoint(dict(labels), start, times.now_ns, float(sample.value), exemplars))
    yield _metric(family, family.name, Sum(points, _CUMULATIVE, True))


def _gauge(family: Any, times: Times) -> Iterator[Metric]:
    points = [
        NumberDataPoint(dict(sample.labels), 0, times.now_ns, float(sample.value))
        for sample in family.samples
    ]
    yield _metric(family, family.name, Gauge(points))


def _info(family: Any, times: Times) -> Iterator[Metric]:
    yield _metric(family, f"{family.name}_info", _states(family, times))


def _state_set(family: Any, times: Times) -> Iterator[Metric]:
    yield _metric(family, family.name, _states(family, times))


def _states(family: Any, times: Times) -> Sum:
    points = [
        NumberDataPoint(dict(sample.labels), times.start(None), times.now_ns, float(sample.value))
        for sample in family.samples
    ]
    return Sum(points, _CUMULATIVE, False)


def _histogram(family: Any, times: Times) -> Iterator[Metric]:
    points = []
    for labels, series in _series_of(family):
        if not series.buckets:
            continue
        bounds = sorted(series.buckets)
        counts, below = [], 0
        for bound in bounds:
            up_to = int(series.buckets[bound].value)
            counts.append(max(0, up_to - below))
            below = up_to
        if bounds[-1] == math.inf:
            bounds.pop()
        else:
            total = int(series.value("_count") or below)
            counts.append(max(0, total - below))
        exemplars = _exemplars(series.buckets.values(), times)
        points.append(_point(labels, series, times, counts, bounds, exemplars))
    yield _metric(family, family.name, Histogram(points, _CUMULATIVE))


def _summary(family: Any, times: Times) -> Iterator[Metric]:
    points, quantiles = [], []
    for labels, series in _series_of(family):
        count = series.value("_count")
        if count is not None:
            points.append(_point(labels, series, times, [int(count)], [], []))
        for quantile, sample in series.quantiles.items():
            attributes = {**dict(labels), "quantile": quantile}
            quantiles.append(NumberDataPoint(attributes, 0, times.now_ns, float(sample.value)))
    yield _metric(family, family.name, Histogram(points, _CUMULATIVE))
    yield _metric(family, f"{family.name}_quantile", Gauge(quantiles))


_CONVERSIONS: Mapping[str, Callable[[Any, Times], Iterator[Metric]]] = {
    "counter": _counter,
    "gauge": _gauge,
    "histogram": _histogram,
    "info": _info,
    "stateset": _state_set,
    "summary": _summary,
    "unknown": _gauge,
}


def _series_of(family: Any) -> Iterable[tuple[Labels, _Series]]:
    found: dict[Labels, _Series] = {}
    for sample in family.samples:
        labels = dict(sample.labels)
        bound, quantile = None, None
        if family.type == "histogram":
            bound = labels.pop("le", None)
        elif family.type == "summary":
            quantile = labels.pop("quantile", None)
        series = found.setdefault(tuple(sorted(labels.items())), _Series())
        if bound is not None:
            series.buckets[float(bound)] = sample
        elif quantile is not None:
            series.quantiles[quantile] = sample
        else:
            series.samples[sample.name.removeprefix(family.name)] = sample
    return found.items()


def _point(
    labels: Labels,
    series: _Series,
    times: Times,
    counts: Sequence[int],
    bounds: Sequence[float],
    exemplars: Sequence[Exemplar],
) -> HistogramDataPoint:
    not_known: Any = None
    total: Any = series.value("_sum")  # None where values may be negative: such a sum is no counter
    start = times.start(series.value("_created"))
    return HistogramDataPoint(
        dict(labels),
        start,
        times.now_ns,
        sum(counts),
        total,
        counts,
        bounds,
        min=not_known,
        max=not_known,
        exemplars=exemplars,
    )


def _exemplars(samples: Iterable[Any], times: Times) -> list[Exemplar]:
    return [_exemplar(sample.exemplar, times) for sample in samples if getattr(sample, "exemplar", None)]


def _exemplar(exemplar: Any, times: Times) -> Exemplar:
    labels = dict(exemplar.labels)
    span_id, trace_id = _identifier(labels, "span_id"), _identifier(labels, "trace_id")
    if span_id is None or trace_id is None:
        span_id = trace_id = None  # the encoder takes both or none; as a label, one is not lost
    else:
        del labels["span_id"], labels["trace_id"]
    time_ns = times.now_ns if exemplar.timestamp is None else int(float(exemplar.timestamp) * 1e9)
    return Exemplar(labels, float(exemplar.value), time_ns, span_id, trace_id)


def _identifier(labels: Mapping[str, str], name: str) -> int | None:
    try:
        return int(labels[name], 16)
    except (KeyError, ValueError):
        return None


def _metric(family: Any, name: str, data: Any) -> Metric:
    return Metric(name, family.documentation, _unit(family), data)


def _unit(family: Any) -> str:
    if family.type in ("info", "stateset"):
        return ""
    if family.unit:
        return UNITS.get(family.unit, family.unit)
    last_word = family.name.rpartition("_")[2]
    return UNITS[last_word] if last_word in UNITS_OF_NAMES else ""
