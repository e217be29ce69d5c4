"""How the set-ups' telemetry leaves the process, and how one is asked to send now."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["NOTHING", "Outlet", "opentelemetry_outlet", "prometheus_outlet", "set_stock_providers"]


@dataclass(frozen=True)
class Outlet:
    """Where the telemetry of a process leaves it.

    Attributes:
        export: Sends, or renders, what has been recorded.
        counted: How many requests the process itself has counted; None where the OTLP endpoint knows.
    """

    export: Callable[[], object]
    counted: Callable[[], int] | None = None


NOTHING = Outlet(export=lambda: None)
"""Of an application without telemetry."""


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


def opentelemetry_outlet() -> Outlet:
    """Give the outlet of the process's global providers."""

    def export() -> None:
        from opentelemetry import metrics, trace

        for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
            force_flush = getattr(provider, "force_flush", None)  # no-op providers have none
            if force_flush is not None:
                force_flush()

    return Outlet(export)


def prometheus_outlet(histogram: str) -> Outlet:
    """Give the outlet of prometheus_client's registry.

    Args:
        histogram: Name of the histogram of which each request is one observation.
    """
    from prometheus_client import REGISTRY, generate_latest

    def counted() -> int:
        return int(
            sum(
                sample.value
                for metric in REGISTRY.collect()
                for sample in metric.samples
                if sample.name == f"{histogram}_count"
            )
        )

    return Outlet(generate_latest, counted)
