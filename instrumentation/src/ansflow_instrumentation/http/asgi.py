"""One HTTP request over ASGI: from the server's call of the application to the response's last byte.

What counts is the time until the last byte was handed to the server: background tasks, which Starlette runs
afterwards in the same call, are no part of the request. (An answer of 500 or more is waited for, since the
exception that caused it is raised only after it was sent; its time ends with its last byte all the same.)

Source:
    https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter_ns, time_ns
from typing import Any

from opentelemetry.context import Context, attach, detach

from ansflow_instrumentation.excluded_requests import unsampled
from ansflow_instrumentation.http.incoming import host_and_port, redacted_query
from ansflow_instrumentation.http.spans import context_of
from ansflow_instrumentation.http.telemetry import HttpTelemetry, complete_span, error_name, exemplar_context
from ansflow_instrumentation.ownership import OWNED

__all__ = [
    "HttpRequest",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "authority_of",
    "request_attributes",
    "serve",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Serve = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLIENT_GONE = frozenset({"ClientDisconnect", "RequestAborted"})
"""Names of the exceptions by which frameworks end a request whose client went away."""


class HttpRequest:
    """A request being served.

    Attributes:
        method: Known method, or `_OTHER`.
        scheme: `http` or `https`.
        route: Template of the route that took it, or None; set by whoever routes.
        prefix: Templates of the mounts above the route.
    """

    __slots__ = (
        "_awaits_trailers",
        "_ended",
        "_error",
        "_finished",
        "_send",
        "_span",
        "_started_at",
        "_status",
        "_telemetry",
        "captured",
        "method",
        "prefix",
        "request_size",
        "response_size",
        "route",
        "scheme",
        "started_ns",
        "version",
    )

    def __init__(
        self, telemetry: HttpTelemetry, scope: Scope, headers: Mapping[bytes, bytes], send: Send
    ) -> None:
        self._telemetry = telemetry
        self._send = send
        self.method = telemetry.settings.methods.get(scope["method"], "_OTHER")
        self.scheme: str = scope.get("scheme", "http")
        self.version: str = scope.get("http_version", "1.1")
        self.route: str | None = None
        self.prefix: str | None = None
        length = headers.get(b"content-length")
        self.request_size = int(length) if length is not None and length.isdigit() else None
        self.response_size = 0
        self.captured: Mapping[str, Any] | None = None
        self._status: int | None = None
        self._error: str | None = None
        self._awaits_trailers = False
        self._ended: int | None = None
        self._finished = False
        self.started_ns = time_ns()
        self._started_at = perf_counter_ns()

    def start(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Context:
        """Start the span.

        Args:
            scope: The request's.
            headers: By lower-case name.

        Returns:
            The context to serve the request in.
        """
        telemetry = self._telemetry
        parent = telemetry.parent.of_asgi(headers)
        method = self.method
        self._span = telemetry.spans.start(
            "HTTP" if method == "_OTHER" else method,
            parent,
            self.started_ns,
            lambda: self._attributes(scope, headers),
        )
        return context_of(self._span, parent)

    def _attributes(self, scope: Scope, headers: Mapping[bytes, bytes]) -> dict[str, Any]:
        attributes = request_attributes(scope, headers, self.scheme)
        attributes["http.request.method"] = self.method
        if self.method == "_OTHER":
            attributes["http.request.method_original"] = scope["method"]
        attributes["network.protocol.version"] = self.version
        if self.request_size is not None:
            attributes["http.request.body.size"] = self.request_size
        captured = self._telemetry.settings.captured
        if captured is not None and captured.request:
            attributes.update(captured.of_request(_as_text(scope["headers"])))
        return attributes

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the server, and note what it says of the response.

        Args:
            message: What the application sends.

        Returns:
            What the server's `send` returned, or a coroutine that also ends the request.
        """
        kind = message["type"]
        if kind == "http.response.body":
            self.response_size += len(message.get("body", b""))
            if message.get("more_body", False) or self._awaits_trailers:
                return self._send(message)
            return self._send_last(message)
        if kind == "http.response.start":
            self._status = message["status"]
            self._awaits_trailers = message.get("trailers", False)
            captured = self._telemetry.settings.captured
            if captured is not None and captured.response:
                self.captured = captured.of_response(_as_text(message.get("headers", ())))
        elif kind == "http.response.pathsend" or (
            kind == "http.response.trailers" and not message.get("more_trailers", False)
        ):
            return self._send_last(message)
        return self._send(message)

    async def _send_last(self, message: Message) -> None:
        await self._send(message)
        if self._ended is None:
            self._ended = perf_counter_ns()
            if self._status is not None and self._status < 500:
                self.finish()

    def fail(self, error: BaseException) -> None:
        """Note the exception that left the application.

        Args:
            error: The exception. One that says that the client went away is no failure of the server's.
        """
        if self._finished or isinstance(error, CancelledError) or type(error).__name__ in _CLIENT_GONE:
            return
        self._error = error_name(error)
        if self._span.is_recording():
            self._span.record_exception(error)

    def finish(self) -> None:
        """Record the request, unless that has been done."""
        if self._finished:
            return
        self._finished = True
        elapsed = (self._ended or perf_counter_ns()) - self._started_at
        status, method, route = self._status, self.method, self.route
        error = self._error
        if error is None and status is not None and status >= 500:
            error = str(status)
        telemetry, span = self._telemetry, self._span
        telemetry.http.active.discard(self)
        series = telemetry.series((method, self.scheme, self.version, route, status, error))
        exemplar = exemplar_context(span)
        series.duration.record(elapsed / 1e9, exemplar)
        if self.request_size is not None:
            series.request_size.record(self.request_size, exemplar)
        if status is not None:
            series.response_size.record(self.response_size, exemplar)
        if not span.is_recording():
            return
        attributes: dict[str, Any] = {}
        if status is not None:
            attributes["http.response.status_code"] = status
            attributes["http.response.body.size"] = self.response_size
        name = "HTTP" if method == "_OTHER" else method
        if route is not None:
            attributes["http.route"] = route
            name = f"{name} {route}"
        if error is not None:
            attributes["error.type"] = error
        if self.captured:
            attributes.update(self.captured)
        complete_span(span, name, attributes, self.started_ns + elapsed, error)


async def serve(telemetry: HttpTelemetry, scope: Scope, receive: Receive, send: Send, app: Serve) -> None:
    """Serve an HTTP request, and record it.

    Args:
        telemetry: Where to.
        scope: The request's.
        receive: The server's.
        send: The server's.
        app: Serves the request.

    Raises:
        BaseException: Whatever the application raised.
    """
    headers = dict(scope["headers"])
    root_path = scope.get("root_path", "")
    exclusion = telemetry.settings.exclusion
    if scope["path"] in exclusion.paths or (
        (root_path or exclusion.pattern is not None)
        and exclusion.covers(
            scope["path"], root_path, scope.get("scheme", "http"), authority_of(scope, headers)
        )
    ):
        scope[OWNED] = None
        with unsampled():
            await app(scope, receive, send)
        return
    request = HttpRequest(telemetry, scope, headers, send)
    scope[OWNED] = request
    token = attach(request.start(scope, headers))
    telemetry.http.active.add(request)
    try:
        await app(scope, receive, request.send)
    except BaseException as error:
        request.fail(error)
        raise
    finally:
        detach(token)
        request.finish()


def authority_of(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """Give a URL's host and port.

    Args:
        scope: The request's.
        headers: By lower-case name.

    Returns:
        The Host header; without one, where the server listens.
    """
    host = headers.get(b"host")
    if host:
        return host.decode("latin-1")
    address, port = scope.get("server") or ("", None)
    return f"{address}:{port}" if port else str(address)


def request_attributes(scope: Scope, headers: Mapping[bytes, bytes], scheme: str) -> dict[str, Any]:
    """Make the attributes that HTTP requests and WebSocket handshakes have in common.

    Args:
        scope: The request's.
        headers: By lower-case name.
        scheme: The URL's.

    Returns:
        Semantic-convention names and clean values.
    """
    attributes: dict[str, Any] = {"url.scheme": scheme, "url.path": scope["path"]}
    query = scope.get("query_string")
    if query:
        attributes["url.query"] = redacted_query(query.decode("latin-1"))
    address, port = host_and_port(authority_of(scope, headers), scheme)
    if address:
        attributes["server.address"] = address
        if port is not None:
            attributes["server.port"] = port
    client = scope.get("client")
    if client:
        attributes["client.address"] = client[0]
    agent = headers.get(b"user-agent")
    if agent is not None:
        attributes["user_agent.original"] = agent.decode("latin-1")
    return attributes


def _as_text(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
