"""An OTLP/HTTP endpoint that only keeps what it is sent; it is decoded after the measurement."""

import gzip
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["Sink", "Spans"]

DURATION_NAMES = ("http.server.request.duration", "http.server.duration")
"""The stable name, and the one before it."""

STATUS_NAMES = {"http.response.status_code", "http.status_code"}
"""Likewise."""

RESPONSES = {
    "/v1/traces": ExportTraceServiceResponse().SerializeToString(),
    "/v1/metrics": ExportMetricsServiceResponse().SerializeToString(),
}


@dataclass(frozen=True)
class Spans:
    """How many spans have arrived.

    Attributes:
        server: Of kind SERVER, with the request's route and its status.
        total: Of any kind.
    """

    server: int
    total: int


class Sink:
    """Listens on a free loopback port until the block ends."""

    def __init__(self) -> None:
        self._bodies: dict[str, list[bytes]] = {path: [] for path in RESPONSES}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """Value of OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def spans(self) -> Spans:
        """How many spans have arrived."""
        kinds = Counter(
            (span.kind, _says_what_was_served(span))
            for body in self._bodies["/v1/traces"]
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        )
        return Spans(server=kinds[Span.SPAN_KIND_SERVER, True], total=kinds.total())

    def requests_counted(self) -> int:
        """How many requests the newest cumulative duration points count, summed over processes."""
        newest: dict[str, int] = {}
        for body in self._bodies["/v1/metrics"]:
            for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                resource = sorted(pair.SerializeToString() for pair in group.resource.attributes)
                for scope in group.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name in DURATION_NAMES:
                            for point in metric.histogram.data_points:
                                attributes = sorted(pair.SerializeToString() for pair in point.attributes)
                                newest[f"{resource} {scope.scope.name} {attributes}"] = point.count
        return sum(newest.values())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        bodies = self._bodies

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = RESPONSES.get(self.path, b"")
                bodies.setdefault(self.path, []).append(body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Keep the table alone on the terminal."""

        return Handler


def _says_what_was_served(span: Span) -> bool:
    names = {attribute.key for attribute in span.attributes}
    return "http.route" in names and bool(names & STATUS_NAMES)
