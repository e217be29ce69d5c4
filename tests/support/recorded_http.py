"""A telemetry in memory, and ASGI conversations with an application that is served under it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from ansflow_instrumentation.http import asgi, websocket
from ansflow_instrumentation.http.settings import HttpSettings
from ansflow_instrumentation.http.telemetry import HttpTelemetry
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

Message = dict[str, Any]
App = Callable[..., Awaitable[None]]


class Recorded:
    """Telemetry of the real SDK, read in memory."""

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self._meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.telemetry = HttpTelemetry(
            self.provider.get_tracer("test"), self._meters.get_meter("test"), HttpSettings.of("TEST", {})
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        """All ended spans."""
        return list(self._exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        """The only ended span."""
        (span,) = self.spans
        return span

    def collected(self) -> MetricsData:
        """All metrics now."""
        return self._reader.get_metrics_data() or MetricsData([])

    def points(self, name: str) -> list[Any]:
        """The points of a metric now."""
        return [
            point
            for resource in self.collected().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def values(self, name: str, *labels: str) -> dict[Any, Any]:
        """The values of a counter or gauge by its labels."""
        return {
            tuple(point.attributes[label] for label in labels): point.value for point in self.points(name)
        }

    def active(self) -> int:
        """Requests that are being served."""
        return int(sum(point.value for point in self.points("http.server.active_requests")))

    async def request(
        self,
        app: App,
        *,
        path: str = "/things/1",
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (("host", "shop.test"),),
        **scope: Any,
    ) -> list[Message]:
        """Serve one request, and return what the application sent."""
        sent: list[Message] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await asgi.serve(self.telemetry, scope_of(path, method, headers, **scope), receive, send, app)
        return sent

    async def connection(
        self, app: App, received: Iterable[Mapping[str, Any]], **scope: Any
    ) -> list[Message]:
        """Serve one WebSocket with these messages from the client, and return what the application sent."""
        sent: list[Message] = []
        waiting = iter(received)

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            message = next(waiting, None)
            if message is None:
                await asyncio.Event().wait()
            return message

        handshake = scope_of("/ws", "GET", [("host", "shop.test")], type="websocket", scheme="ws", **scope)
        del handshake["method"]
        await websocket.serve(self.telemetry, handshake, receive, send, app)
        return sent


def scope_of(path: str, method: str, headers: Iterable[tuple[str, str]], **more: Any) -> dict[str, Any]:
    """An ASGI scope as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": ("192.0.2.1", 50000),
        "server": ("127.0.0.1", 8001),
        "state": {},
        **more,
    }


async def answer(send: Any, status: int = 200, *chunks: bytes) -> None:
    """Send a whole response."""
    await send({"type": "http.response.start", "status": status, "headers": []})
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
