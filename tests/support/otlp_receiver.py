"""A receiver of OTLP over HTTP, as real as a client can tell: protobuf in, protobuf out, everything kept."""

import gzip
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, HistogramDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = dict[str, str]
"""Attribute values in their text form, as they are compared in tests."""


@dataclass(frozen=True)
class DurationPoint:
    """The newest cumulative `http.server.request.duration` point of one attribute set in one process."""

    instance: str
    attributes: Attributes
    point: HistogramDataPoint


def attributes_of(pairs: "Iterator[KeyValue] | list[KeyValue]") -> Attributes:
    """Flatten OTLP attributes to text."""
    return {
        pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "string_value")) for pair in pairs
    }


def _recorded(request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest:
    """Leave points without a recorded value out: they end series, and have nothing to show."""
    for group in request.resource_metrics:
        for scope in group.scope_metrics:
            for metric in list(scope.metrics):
                points = getattr(metric, str(metric.WhichOneof("data"))).data_points
                for point in list(points):
                    if point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
                        points.remove(point)
                if not points:
                    scope.metrics.remove(metric)
    return request


class OtlpReceiver:
    """Listens on a free loopback port and keeps all that is sent.

    Args:
        most_bytes: Largest body of metrics that is taken, inflated; larger ones are answered 413.

    Attributes:
        refuses: Whether a request of metrics is answered 400, and not kept.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._most_bytes = most_bytes
        self.refuses: Callable[[ExportMetricsServiceRequest], bool] = lambda _: False
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.logs: list[ExportLogsServiceRequest] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """Value of OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def resources(self) -> list[Attributes]:
        """Resources of all spans, metrics and logs, in the order of arrival within each signal."""
        return [
            *(
                attributes_of(list(group.resource.attributes))
                for r in self.traces
                for group in r.resource_spans
            ),
            *(
                attributes_of(list(group.resource.attributes))
                for r in self.metrics
                for group in r.resource_metrics
            ),
            *(attributes_of(list(group.resource.attributes)) for r in self.logs for group in r.resource_logs),
        ]

    def instances(self) -> set[str]:
        """The service.instance.ids seen."""
        return {resource["service.instance.id"] for resource in self.resources()}

    def spans(self) -> list[Span]:
        """All spans."""
        return [
            span
            for request in self.traces
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def server_spans(self) -> Counter[str]:
        """How many SERVER spans there are of each name."""
        return Counter(span.name for span in self.spans() if span.kind == Span.SPAN_KIND_SERVER)

    def log_records(self) -> list[LogRecord]:
        """All log records."""
        return [
            record
            for request in self.logs
            for group in request.resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
        ]

    def metric_names(self) -> set[str]:
        """Names of all metrics."""
        return {
            metric.name
            for request in self.metrics
            for group in request.resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
        }

    def durations(self) -> list[DurationPoint]:
        """The newest duration point of each process, scope and attribute set: two owners are two points."""
        newest: dict[tuple[str, ...], DurationPoint] = {}
        for request in self.metrics:
            for group in request.resource_metrics:
                instance = attributes_of(list(group.resource.attributes))["service.instance.id"]
                for scope in group.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name != "http.server.request.duration":
                            continue
                        for point in metric.histogram.data_points:
                            attributes = attributes_of(list(point.attributes))
                            key = (instance, scope.scope.name, repr(sorted(attributes.items())))
                            newest[key] = DurationPoint(instance, attributes, point)
        return list(newest.values())

    def sums(self, prefix: str) -> Counter[tuple[str, ...]]:
        """The newest sums of instruments with this prefix: by name and attribute values, over processes."""
        newest: dict[tuple[str, ...], float] = {}
        for request in self.metrics:
            for group in request.resource_metrics:
                instance = attributes_of(list(group.resource.attributes))["service.instance.id"]
                for scope in group.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name.startswith(prefix):
                            for point in metric.sum.data_points:
                                values = attributes_of(list(point.attributes)).values()
                                newest[instance, metric.name, *values] = point.as_int or point.as_double
        summed: Counter[tuple[str, ...]] = Counter()
        for (_, *key), value in newest.items():
            summed[tuple(key)] += int(value)
        return summed

    def histogram_counts(self, name: str) -> int:
        """How many values a histogram has taken, over attribute sets and processes."""
        newest: dict[tuple[str, ...], int] = {}
        for request in self.metrics:
            for group in request.resource_metrics:
                instance = attributes_of(list(group.resource.attributes))["service.instance.id"]
                for scope in group.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name == name:
                            for point in metric.histogram.data_points:
                                attributes = attributes_of(list(point.attributes))
                                newest[instance, repr(sorted(attributes.items()))] = point.count
        return sum(newest.values())

    def requests_counted(self) -> Counter[str]:
        """How many requests the duration histograms counted, by route, summed over processes."""
        counted: Counter[str] = Counter()
        for duration in self.durations():
            counted[duration.attributes.get("http.route", "")] += duration.point.count
        return counted

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.headers["content-type"] != "application/x-protobuf":
                    self._answer(415, b"")
                elif self.path == "/v1/traces":
                    receiver.traces.append(ExportTraceServiceRequest.FromString(body))
                    self._answer(200, ExportTraceServiceResponse().SerializeToString())
                elif self.path == "/v1/metrics":
                    request = ExportMetricsServiceRequest.FromString(body)
                    if receiver._most_bytes is not None and len(body) > receiver._most_bytes:
                        self._answer(413, b"")
                    elif receiver.refuses(request):
                        self._answer(400, b"")
                    else:
                        receiver.metrics.append(_recorded(request))
                        self._answer(200, ExportMetricsServiceResponse().SerializeToString())
                elif self.path == "/v1/logs":
                    receiver.logs.append(ExportLogsServiceRequest.FromString(body))
                    self._answer(200, ExportLogsServiceResponse().SerializeToString())
                else:
                    self._answer(404, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the test output quiet."""

        return Handler
