"""What belongs to a process alone leaves with it, instead of staying in sums until it expires.

Gauges and up-down counters (memory, threads, active requests) of a process that has ended are of nothing any
more; a Prometheus behind the Collector would show them for five minutes. A point without a recorded value
ends its series at once.

Source: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#no-recorded-value
"""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricExporter,
    MetricsData,
    Sum,
)

__all__ = ["say_farewell"]

NO_RECORDED_VALUE = 1
"""`DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK` of OTLP."""


def say_farewell(exporter: MetricExporter, data: MetricsData) -> None:
    """End the series that belong to this process.

    Args:
        exporter: OTLP/HTTP's; the SDK's types have no flags, so another one is left alone.
        data: What this process exported last.
    """
    export = getattr(exporter, "_export_batch", None)
    if export is None:
        return
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

    request = encode_metrics(_of_this_process(data))
    is_empty = True
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in getattr(metric, str(metric.WhichOneof("data"))).data_points:
                    is_empty = False
                    point.flags |= NO_RECORDED_VALUE
                    point.ClearField("as_double")
                    point.ClearField("as_int")
    if not is_empty:
        with suppress_instrumentation():  # as the SDK's own exports
            export(request)


def _of_this_process(data: MetricsData) -> MetricsData:
    return MetricsData(
        [
            dataclasses.replace(
                resource,
                scope_metrics=[
                    dataclasses.replace(scope, metrics=[one for m in scope.metrics for one in _ended(m)])
                    for scope in resource.scope_metrics
                ],
            )
            for resource in data.resource_metrics
        ]
    )


def _ended(metric: Metric) -> Iterator[Metric]:
    """Give a metric for each point: the Collector's Prometheus exporter ends one series of a metric."""
    data = metric.data
    is_sum = (
        isinstance(data, Sum)
        and not data.is_monotonic
        and data.aggregation_temporality == AggregationTemporality.CUMULATIVE
    )
    if is_sum or isinstance(data, Gauge):
        now = time.time_ns()
        for point in data.data_points:
            points: Any = [dataclasses.replace(point, time_unix_nano=now, exemplars=[])]
            yield dataclasses.replace(metric, data=dataclasses.replace(data, data_points=points))
