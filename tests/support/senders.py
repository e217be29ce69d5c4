"""Processes of a service as the Collector sees them: the SDK's providers, each with a resource of its own."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


@dataclass(frozen=True)
class Worker:
    """One worker process' providers; nothing is sent before ``flush``, but spans and log records at once."""

    meters: MeterProvider
    tracers: TracerProvider
    loggers: LoggerProvider

    def flush(self) -> None:
        """Send all metrics; they are taken in when this returns.

        Raises:
            AssertionError: the Collector did not take them.
        """
        assert self.meters.force_flush()


@contextlib.contextmanager
def worker(endpoint: str, resource: Mapping[str, str]) -> Iterator[Worker]:
    """Run one worker's providers against an OTLP/HTTP endpoint; what is left to send is sent at the end.

    Args:
        endpoint: base URL, without /v1/….
        resource: the resource's attributes, service.instance.id among them.
    """
    attributes = Resource(resource)
    # Never by itself: a test says when.
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"), export_interval_millis=math.inf
    )
    meters = MeterProvider([reader], resource=attributes)
    tracers = TracerProvider(resource=attributes)
    tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    loggers = LoggerProvider(resource=attributes)
    loggers.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{endpoint}/v1/logs"))
    )
    sender = Worker(meters, tracers, loggers)
    try:
        yield sender
        sender.flush()
    finally:
        meters.shutdown()
        tracers.shutdown()
        loggers.shutdown()
