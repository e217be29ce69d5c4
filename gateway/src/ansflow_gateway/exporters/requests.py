"""Metrics cut into requests of bounded size: what 100,000 series come to, many a Collector refuses at once.

By default, a Collector takes 20 MiB over HTTP
(https://github.com/open-telemetry/opentelemetry-collector/blob/main/config/confighttp/README.md), 4 MiB over
gRPC (https://pkg.go.dev/google.golang.org/grpc#MaxRecvMsgSize), and a proxy in front of it often less: nginx
1 MiB (https://nginx.org/en/docs/http/ngx_http_core_module.html#client_max_body_size).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)

MOST_BYTES: Final = 900_000
"""Most bytes of a request, before compression: some thousands of numbers, or a thousand histograms."""

# What protobuf needs besides texts and buckets, rather more than less: a length may take four bytes, times,
# sums and the like take nine (https://opentelemetry.io/docs/specs/otlp/#binary-protobuf-encoding).
_ATTRIBUTE: Final = 20
_NUMBER: Final = 40
_HISTOGRAM: Final = 90
_EXEMPLAR: Final = 60
_BUCKET: Final = 16
_HEAD: Final = 60


def split(data: MetricsData, most_bytes: int = MOST_BYTES) -> Iterator[MetricsData]:
    """Cut metrics into requests, each of which stands for itself.

    Args:
        data: The metrics.
        most_bytes: Most bytes of a request; a point that is larger goes by itself.

    Yields:
        Requests that together have each point once, in order. In each a scope has one entry, and a metric
        one in its scope. Metrics without any point are one request.
    """
    cut = False
    for group in data.resource_metrics:
        for part in _split_group(group, most_bytes):
            cut = True
            yield MetricsData([part])
    if not cut:
        yield data


def _split_group(group: ResourceMetrics, most_bytes: int) -> Iterator[ResourceMetrics]:
    empty = _HEAD + len(group.schema_url) + _attributes(group.resource.attributes)
    size, points = empty, 0
    scopes: list[ScopeMetrics] = []
    for scope in group.scope_metrics:
        about = scope.scope
        scope_head = _HEAD + len(about.name) + len(about.version or "") + len(scope.schema_url)
        scope_head += _attributes(about.attributes or {})
        metrics: list[Metric] = []
        size += scope_head
        for metric in scope.metrics:
            head = _HEAD + _text(metric.name) + _text(metric.description or "") + _text(metric.unit or "")
            size += head
            first = 0
            for place, point in enumerate(metric.data.data_points):
                weight = _weigh(point)
                if points and size + weight > most_bytes:
                    if place > first:
                        metrics.append(_slice(metric, first, place))
                    if metrics:
                        scopes.append(replace(scope, metrics=metrics))
                    yield replace(group, scope_metrics=scopes)
                    scopes, metrics, first = [], [], place
                    size, points = empty + scope_head + head, 0
                size += weight
                points += 1
            metrics.append(_slice(metric, first, None) if first else metric)
        if metrics:
            scopes.append(replace(scope, metrics=metrics))
    if points:
        yield replace(group, scope_metrics=scopes)


def _slice(metric: Metric, first: int, end: int | None) -> Metric:
    data: Any = metric.data  # one of the kinds, all of which have points
    return replace(metric, data=replace(data, data_points=data.data_points[first:end]))


def _weigh(point: Any) -> int:
    weight = _attributes(point.attributes or {})
    for exemplar in point.exemplars:
        weight += _exemplar(exemplar)
    if isinstance(point, NumberDataPoint):
        return weight + _NUMBER
    if isinstance(point, HistogramDataPoint):
        return weight + _HISTOGRAM + _BUCKET * len(point.bucket_counts)
    buckets = len(point.positive.bucket_counts) + len(point.negative.bucket_counts)
    return weight + 2 * _HISTOGRAM + _BUCKET * buckets


def _exemplar(exemplar: Exemplar) -> int:
    return _EXEMPLAR + _attributes(exemplar.filtered_attributes or {})


def _attributes(attributes: Mapping[str, Any]) -> int:
    weight = 0
    for name, value in attributes.items():
        weight += _ATTRIBUTE + _text(name) + _text(value if isinstance(value, str) else repr(value))
    return weight


def _text(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
