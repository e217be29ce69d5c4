"""One HTTP request over ASGI: from the server's call of the application to the response's last byte.

What counts is the time until the last byte was handed to the server: background tasks, which Starlette runs
afterwards in the same call, are no part of the request. (After an answer of 500 or more, or a streamed one,
the application's return is waited for: the exception that caused or cut it is raised only then. The time ends
with the last byte all the same.)

Source:
    https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter_ns
from typing import Any

from opentelemetry.context import attach, detach

from ansflow_instrumentation.excluded_requests import unsampled
from ansflow_instrumentation.http.incoming import host_and_port
from ansflow_instrumentation.http.request import ServedRequest
from ansflow_instrumentation.http.telemetry import HttpTelemetry
from ansflow_instrumentation.ownership import OWNED
from ansflow_instrumentation.urls import redacted_query

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


class HttpRequest(ServedRequest):
    """A request over ASGI.

    Args:
        telemetry: Where it is recorded.
        scope: The request's.
        headers: By lower-case name.
        send: The server's.
    """

    __slots__ = ("_awaits_trailers", "_is_streamed", "_send")

    def __init__(
        self, telemetry: HttpTelemetry, scope: Scope, headers: Mapping[bytes, bytes], send: Send
    ) -> None:
        super().__init__(
            telemetry,
            scope["method"],
            scope.get("scheme", "http"),
            scope.get("http_version", "1.1"),
            headers.get(b"content-length"),
        )
        self._send = send
        self._awaits_trailers = False
        self._is_streamed = False

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the server, and note what it says of the response.

        Args:
            message: What the application sends.

        Returns:
            What the server's `send` returned, or a coroutine that also ends the request.
        """
        kind = message["type"]
        if kind == "http.response.body":
            if self.response_size is not None:
                self.response_size += len(message.get("body", b""))
            if message.get("more_body", False):
                self._is_streamed = True
                return self._send(message)
            return self._send(message) if self._awaits_trailers else self._send_last(message)
        if kind == "http.response.start":
            self.status = message["status"]
            self._awaits_trailers = message.get("trailers", False)
            captured = self.telemetry.settings.captured
            if captured is not None and captured.response:
                self.captured = captured.of_response(_as_text(message.get("headers", ())))
        elif kind == "http.response.pathsend":
            self.response_size = None  # the server's to know
            return self._send_last(message)
        elif kind == "http.response.trailers" and not message.get("more_trailers", False):
            return self._send_last(message)
        return self._send(message)

    async def _send_last(self, message: Message) -> None:
        await self._send(message)
        if self.ended is None:
            self.ended = perf_counter_ns()
            if self.status is not None and self.status < 500 and not self._is_streamed:
                self.finish()


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
    headers = dict(scope.get("headers", ()))
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
    parent = telemetry.parent.of_asgi(headers, scope.get("headers", ()))
    token = attach(request.start(parent, lambda: _attributes(telemetry, scope, headers, request.scheme)))
    is_closed = False
    try:
        await app(scope, receive, request.send)
    except BaseException as error:
        is_closed = isinstance(error, GeneratorExit)  # by the loop's end, in another context
        request.fail(error)
        raise
    finally:
        if not is_closed:
            detach(token)
        request.finish()
        # The request has the server's `send`, which has the scope: a cycle for the garbage collector, else.
        scope.pop(OWNED, None)


def _attributes(
    telemetry: HttpTelemetry, scope: Scope, headers: Mapping[bytes, bytes], scheme: str
) -> dict[str, Any]:
    attributes = request_attributes(scope, headers, scheme)
    captured = telemetry.settings.captured
    if captured is not None and captured.request:
        attributes.update(captured.of_request(_as_text(scope.get("headers", ()))))
    return attributes


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
