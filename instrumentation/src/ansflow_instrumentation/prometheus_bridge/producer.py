"""Adds metrics to each collection of the SDK's readers.

The specification has metric producers for this
(https://opentelemetry.io/docs/specs/otel/metrics/sdk/#metricproducer); the Python SDK has none. A reader has
a function that collects from the SDK, and here it gets one that adds to that. So periodic readers, readers in
memory and any other have the same, also where the SDK itself has nothing to tell, and what comes between
reader and exporter sees these metrics like all others. The function is private to the SDK: it is tried out
once, and left alone if it is not built as expected.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    Gauge,
    InMemoryMetricReader,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.sdk.version import __version__ as sdk_version

from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.version import __version__

__all__ = ["add_metrics", "sdk_takes_metrics"]

_logger = logging.getLogger(__name__)

SCOPE = InstrumentationScope("ansflow_instrumentation.prometheus_bridge", __version__)

SERVING = "opentelemetry.exporter.prometheus"
"""The reader that is itself a collector of prometheus_client, served beside what would be added to it."""

Produce = Callable[[], Sequence[Metric]]


def add_metrics(provider: Any, produce: Produce) -> None:
    """Add metrics to each collection of a provider's readers.

    Args:
        provider: The SDK's meter provider.
        produce: Gives the metrics at that moment; where it raises, the SDK's own are collected all the same.
    """
    for reader in provider._metric_readers:
        if type(reader).__module__.startswith(SERVING):
            continue
        reader._set_collect_callback(_adding(provider, reader._collect, produce))


@functools.cache
def sdk_takes_metrics() -> bool:
    """Try out whether metrics that are added come out of a reader.

    Returns:
        Whether they do. If not, there is one warning.
    """
    try:
        fits = _takes_metrics()
    except Exception:  # noqa: BLE001 # any failure means that this SDK is another one
        fits = False
    if not fits:
        _logger.warning(
            "opentelemetry-sdk %s is not built as expected: what is recorded with prometheus_client is not "
            "exported",
            sdk_version,
        )
    return fits


def _adding(
    provider: Any, collect: Callable[..., MetricsData | None], produce: Produce
) -> Callable[..., Any]:
    @functools.wraps(collect)
    def collect_more(*args: Any, **kwargs: Any) -> MetricsData | None:
        data = collect(*args, **kwargs)
        with survive("Exporting what is recorded with prometheus_client"):
            metrics = produce()
            if metrics:
                return _added(provider, data, ScopeMetrics(SCOPE, metrics, ""))
        return data

    return collect_more


def _added(provider: Any, data: MetricsData | None, scope: ScopeMetrics) -> MetricsData:
    if data is None or not data.resource_metrics:
        resource = provider._sdk_config.resource
        return MetricsData([ResourceMetrics(resource, [scope], resource.schema_url)])
    first, *others = data.resource_metrics
    first = dataclasses.replace(first, scope_metrics=[*first.scope_metrics, scope])
    return MetricsData([first, *others])


def _takes_metrics() -> bool:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    add_metrics(provider, lambda: [Metric("added", "", "", Gauge([NumberDataPoint({}, 0, 1, 2.0)]))])
    alone: Any = reader.get_metrics_data()
    provider.get_meter("tried").create_counter("tried").add(1)
    beside: Any = reader.get_metrics_data()
    provider.shutdown()
    return _names(alone) == ["added"] and _names(beside) == ["tried", "added"]


def _names(data: MetricsData) -> list[str]:
    (resource,) = data.resource_metrics
    return [metric.name for scope in resource.scope_metrics for metric in scope.metrics]
