"""The set-ups that are compared: how each instruments the same FastAPI application, and how it sends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

__all__ = ["BARE", "SETUPS", "Measured", "application"]

ROUTES = 10
"""Routes of the application; requests go to all of them in turn."""


@dataclass(frozen=True)
class Measured:
    """An application to send requests to.

    Attributes:
        app: The ASGI application.
        send: Sends, or renders, what has been recorded.
    """

    app: FastAPI
    send: Callable[[], object]


def application() -> FastAPI:
    """Make the application: small JSON answers, ten routes with a parameter."""
    import fastapi  # at the time of the call, for instrumentations replace the class

    app = fastapi.FastAPI()

    async def item(item_id: int) -> dict[str, int]:
        return {"item": item_id}

    for number in range(ROUTES):
        app.add_api_route(f"/things{number}/{{item_id}}", item, methods=["GET"])
    return app


def _bare() -> Measured:
    return Measured(application(), lambda: None)


def _ansflow() -> Measured:
    from opentelemetry.instrumentation.auto_instrumentation import initialize

    initialize(swallow_exceptions=False)
    return Measured(application(), _flush)


def _contrib() -> Measured:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    _set_providers()
    FastAPIInstrumentor().instrument()
    return Measured(application(), _flush)


def _native() -> Measured:
    _set_providers()
    return Measured(application(), _flush)


def _prometheus() -> Measured:
    from prometheus_client import generate_latest
    from prometheus_fastapi_instrumentator import Instrumentator

    app = application()
    Instrumentator().instrument(app)
    return Measured(app, generate_latest)


def _set_providers() -> None:
    """Traces and metrics by OTLP, as upstream's distro sets them up."""
    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))


def _flush() -> None:
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        if isinstance(provider, TracerProvider | MeterProvider):
            provider.force_flush()


BARE = "bare FastAPI"

SETUPS: Mapping[str, Callable[[], Measured]] = {
    BARE: _bare,
    "ansflow-instrumentation": _ansflow,
    "contrib, default": _contrib,
    "FastAPI native": _native,
    "prometheus-fastapi-instrumentator": _prometheus,
}
"""Set-ups by the name in the table."""
