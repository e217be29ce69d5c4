"""The meters of HTTP servers and WebSockets, and the series of each kind of request.

Source:
    https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-server
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ansflow_instrumentation.conventions import HTTP_BOUNDS
from ansflow_instrumentation.recording import BoundHistogram, CounterSeries, HistogramSeries
from ansflow_instrumentation.recording.series import MAX_SERIES

__all__ = ["HttpMeters", "Kind", "KindSeries", "WebSocketMeters"]

SIZE_BOUNDS = (0.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
"""Bytes: an empty answer, a small object, a page, a file."""

SESSION_BOUNDS = (0.1, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Seconds: a WebSocket may be open for a moment or for a day."""


class Kind(NamedTuple):
    """What distinguishes the series of requests.

    Attributes:
        method: Known method, or `_OTHER`.
        scheme: `http` or `https`.
        version: `1.0`, `1.1`, `2` or `3`.
        route: Template of the route that took the request, or None.
        status: Status code, or None where no response was begun.
        error: Class of the error, or None.
    """

    method: str
    scheme: str
    version: str
    route: str | None
    status: int | None
    error: str | None

    def attributes(self) -> dict[str, str | int]:
        """Give the attributes of `http.server.request.duration`.

        Returns:
            Semantic-convention names and values.
        """
        attributes: dict[str, str | int] = {
            "http.request.method": self.method,
            "url.scheme": self.scheme,
            "network.protocol.version": self.version,
        }
        if self.route is not None:
            attributes["http.route"] = self.route
        if self.status is not None:
            attributes["http.response.status_code"] = self.status
        if self.error is not None:
            attributes["error.type"] = self.error
        return attributes


class KindSeries:
    """The series of one kind of request.

    Attributes:
        duration: In seconds.
        request_size: In bytes.
        response_size: In bytes.
    """

    __slots__ = ("duration", "request_size", "response_size")

    def __init__(self, duration: BoundHistogram, request: BoundHistogram, response: BoundHistogram) -> None:
        self.duration = duration
        self.request_size = request
        self.response_size = response


class HttpMeters:
    """The meters of HTTP requests.

    Attributes:
        by_kind: Series of the kinds seen; a kind that is missing comes from `of`.
        active: Requests being served, by method and scheme: each an object of its own, so that adding and
            discarding are one step in any thread, and nothing can be counted twice.
    """

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=HTTP_BOUNDS,
        )
        self._request_size = meter.create_histogram(
            "http.server.request.body.size",
            unit="By",
            description="Size of HTTP server request bodies.",
            explicit_bucket_boundaries_advisory=SIZE_BOUNDS,
        )
        self._response_size = meter.create_histogram(
            "http.server.response.body.size",
            unit="By",
            description="Size of HTTP server response bodies.",
            explicit_bucket_boundaries_advisory=SIZE_BOUNDS,
        )
        self.by_kind: dict[Kind | tuple[Any, ...], KindSeries] = {}
        self.active: set[Any] = set()
        _forget_after_fork(self.active)
        self._seen: set[tuple[str, str]] = set()
        meter.create_observable_up_down_counter(
            "http.server.active_requests",
            [self._observe_active],
            unit="{request}",
            description="Number of active HTTP server requests.",
        )

    def of(self, kind: "Kind | tuple[Any, ...]") -> KindSeries:
        """Give the series of a kind.

        Args:
            kind: The kind, or its fields as a tuple: both are one key.

        Returns:
            The kind's series.
        """
        series = self.by_kind.get(kind)
        if series is None:
            self._seen.add((kind[0], kind[1]))
            attributes = Kind(*kind).attributes()
            series = KindSeries(
                BoundHistogram(self._duration, attributes),
                BoundHistogram(self._request_size, attributes),
                BoundHistogram(self._response_size, attributes),
            )
            if len(self.by_kind) < MAX_SERIES:
                series = self.by_kind.setdefault(kind, series)
        return series

    def _observe_active(self, _: CallbackOptions) -> Iterable[Observation]:
        # list() of a set is one step: no other thread can change the set meanwhile.
        now = Counter((request.method, request.scheme) for request in list(self.active))
        self._seen.update(now)
        for method, scheme in list(self._seen):  # where none is active now, that is zero, not missing
            yield Observation(now[method, scheme], {"http.request.method": method, "url.scheme": scheme})


class WebSocketMeters:
    """The meters of WebSocket connections, by endpoint (the route's template).

    The semantic conventions have none for WebSockets; these are the platform's names.

    Attributes:
        connections: Connections accepted.
        disconnections: Connections ended, by endpoint and close code.
        messages: Messages, by endpoint and direction (`sent`, `received`).
        io: Bytes of the messages' payloads, likewise.
        duration: From acceptance to end, in seconds.
        active: Connections open now; as `HttpMeters.active`.
    """

    def __init__(self, meter: Meter) -> None:
        self.connections: CounterSeries[str] = CounterSeries(
            meter.create_counter(
                "ansflow.websocket.connections", "{connection}", "WebSocket connections accepted."
            ),
            lambda endpoint: {"endpoint": endpoint},
        )
        self.disconnections: CounterSeries[tuple[str, str]] = CounterSeries(
            meter.create_counter(
                "ansflow.websocket.disconnections",
                "{disconnection}",
                "WebSocket connections ended, by close code.",
            ),
            lambda key: {"endpoint": key[0], "code": key[1]},
        )
        self.messages: CounterSeries[tuple[str, str]] = CounterSeries(
            meter.create_counter(
                "ansflow.websocket.messages", "{message}", "WebSocket messages sent and received."
            ),
            _by_direction,
        )
        self.io: CounterSeries[tuple[str, str]] = CounterSeries(
            meter.create_counter(
                "ansflow.websocket.io", "By", "Payload of WebSocket messages sent and received."
            ),
            _by_direction,
        )
        self.duration: HistogramSeries[str] = HistogramSeries(
            meter.create_histogram(
                "ansflow.websocket.connection.duration",
                "s",
                "How long WebSocket connections were open.",
                explicit_bucket_boundaries_advisory=SESSION_BOUNDS,
            ),
            lambda endpoint: {"endpoint": endpoint},
        )
        self.active: set[Any] = set()
        _forget_after_fork(self.active)
        self._seen: set[str] = set()
        meter.create_observable_up_down_counter(
            "ansflow.websocket.connections.active",
            [self._observe_active],
            unit="{connection}",
            description="WebSocket connections open.",
        )

    def opened(self, connection: Any) -> None:
        """Count a connection that was accepted.

        Args:
            connection: Has its `endpoint`.
        """
        self._seen.add(connection.endpoint)
        self.connections.add(connection.endpoint)
        self.active.add(connection)

    def _observe_active(self, _: CallbackOptions) -> Iterable[Observation]:
        now = Counter(connection.endpoint for connection in list(self.active))
        for endpoint in list(self._seen):
            yield Observation(now[endpoint], {"endpoint": endpoint})


def _by_direction(key: tuple[str, str]) -> dict[str, str]:
    return {"endpoint": key[0], "direction": key[1]}


def _forget_after_fork(active: set[Any]) -> None:
    """Empty the set in forked children: what the parent serves is the parent's."""
    clear: Callable[[], None] = active.clear
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=clear)
