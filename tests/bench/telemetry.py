"""How the set-ups' telemetry leaves the process, and how one is asked to send now."""

from collections.abc import Callable

from .workloads import NAME_PREFIX, PATH_PREFIX

__all__ = [
    "Export",
    "export_nothing",
    "export_opentelemetry",
    "export_prometheus",
    "prometheus_count",
    "set_stock_providers",
]


Export = Callable[[], None]
"""Sends, or renders, what a process has recorded."""


def set_stock_providers() -> None:
    """Set up traces and metrics by OTLP, as upstream's distro does."""
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))


def export_nothing() -> None:
    """Do what an application without telemetry does."""


def export_opentelemetry() -> None:
    """Flush the process's global providers."""
    from opentelemetry import metrics, trace

    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        force_flush = getattr(provider, "force_flush", None)  # no-op providers have none
        if force_flush is not None:
            force_flush()


def export_prometheus() -> None:
    """Render prometheus_client's registry, as a scrape does."""
    from prometheus_client import generate_latest

    generate_latest()


def prometheus_count(exposition: str, histogram: str) -> int:
    """Read how many requests of the benchmark a registry has counted, scrapes left out.

    Args:
        exposition: Prometheus' text format.
        histogram: Name of the histogram of which each request is one observation.

    Returns:
        Requests.
    """
    from prometheus_client.parser import text_string_to_metric_families

    return int(
        sum(
            sample.value
            for metric in text_string_to_metric_families(exposition)
            for sample in metric.samples
            if sample.name == f"{histogram}_count"
            and any(label.startswith((PATH_PREFIX, NAME_PREFIX)) for label in sample.labels.values())
        )
    )
