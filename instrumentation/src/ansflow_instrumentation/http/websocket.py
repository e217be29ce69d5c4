"""One WebSocket over ASGI: a SERVER span a connection, and meters that are right however it ends.

A connection counts from its acceptance. A handshake that is refused (closed before it was accepted) is no
connection; it has a span, with the status code that the client sees. A client that vanishes ends its
connection with the code that the server reports (1006 where it reports none).

Source:
    https://asgi.readthedocs.io/en/latest/specs/www.html#websocket
"""

import os
from collections.abc import Awaitable, Mapping
from time import perf_counter_ns, time_ns
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach

from ansflow_instrumentation.conventions import error_name
from ansflow_instrumentation.excluded_requests import unsampled
from ansflow_instrumentation.http.asgi import (
    Message,
    Receive,
    Scope,
    Send,
    Serve,
    authority_of,
    request_attributes,
)
from ansflow_instrumentation.http.close_codes import (
    ABNORMAL_CLOSURE,
    INTERNAL_ERROR,
    NORMAL_CLOSURE,
    label_of,
)
from ansflow_instrumentation.http.request import is_departure
from ansflow_instrumentation.http.telemetry import (
    HttpTelemetry,
    complete_span,
    exemplar_context,
    record_exception,
)
from ansflow_instrumentation.ownership import OWNED
from ansflow_instrumentation.spans.server import context_of

__all__ = ["MESSAGE_SPANS_VARIABLE", "UNKNOWN_ENDPOINT", "WebSocketConnection", "serve"]

MESSAGE_SPANS_VARIABLE = "ANSFLOW_WEBSOCKET_MESSAGE_SPANS"
"""`true` for a span a message besides that of the connection: for finding faults, not for production."""

UNKNOWN_ENDPOINT = "unknown"
"""The endpoint of a connection that was accepted by no route that has a template."""


_DISCONNECTS = frozenset({"WebSocketDisconnect", "ClientDisconnected", "ConnectionClosed"})


class WebSocketConnection:
    """A connection being served.

    Attributes:
        route: Template of the route that took it, or None; set by whoever routes.
        taken_by: The route that was noted last.
        mounted_at: Template of the path at which an application inside is mounted.
        endpoint: The route, as the meters have it, from the acceptance on.
    """

    __slots__ = (
        "_accepted_at",
        "_code",
        "_error",
        "_finished",
        "_message_tracer",
        "_receive",
        "_received",
        "_refused",
        "_send",
        "_sent",
        "_span",
        "_telemetry",
        "endpoint",
        "mounted_at",
        "route",
        "started_ns",
        "taken_by",
    )

    def __init__(self, telemetry: HttpTelemetry, receive: Receive, send: Send) -> None:
        self._telemetry = telemetry
        self._receive = receive
        self._send = send
        self.route: str | None = None
        self.taken_by: object = None
        self.mounted_at = ""
        self.endpoint = UNKNOWN_ENDPOINT
        self._accepted_at: int | None = None
        self._code: int | None = None
        self._refused: int | None = None
        self._error: str | None = None
        self._finished = False
        self._sent = self._received = 0
        self.started_ns = time_ns()
        wanted = os.environ.get(MESSAGE_SPANS_VARIABLE, "").strip().lower() == "true"
        self._message_tracer = trace.get_tracer("ansflow_instrumentation.http") if wanted else None

    def start(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Context:
        """Start the span.

        Args:
            scope: The handshake's.
            headers: By lower-case name.

        Returns:
            The context to serve the connection in.
        """
        parent = self._telemetry.parent.of_asgi(headers, scope.get("headers", ()))

        def attributes() -> dict[str, Any]:
            common = request_attributes(scope, headers, scope.get("scheme", "ws"))
            return {
                **common,
                "http.request.method": "GET",
                "network.protocol.name": "websocket",
                "network.protocol.version": scope.get("http_version", "1.1"),
            }

        self._span = self._telemetry.spans.start("WS", parent, self.started_ns, attributes)
        return context_of(self._span, parent, self)

    async def receive(self) -> Message:
        """Pass a message from the server, and count it.

        Returns:
            The server's message.
        """
        message = await self._receive()
        kind = message["type"]
        if kind == "websocket.receive":
            self._received += 1
            self._count("received", message)
        elif kind == "websocket.disconnect" and self._code is None:
            code = message.get("code")
            self._code = ABNORMAL_CLOSURE if code is None else code
            # Here, and not when the application returns: Daphne may stop its loop before that.
            self.finish()
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the server, and count it once it is sent.

        Args:
            message: What the application sends.

        Returns:
            A coroutine that sends it.
        """
        kind = message["type"]
        if kind == "websocket.send":
            return self._send_message(message)
        if kind == "websocket.accept":
            return self._accept(message)
        if kind == "websocket.close":
            return self._close(message)
        if kind == "websocket.http.response.start":
            self._refused = message["status"]
        return self._send(message)

    async def _send_message(self, message: Message) -> None:
        await self._send(message)
        self._sent += 1
        self._count("sent", message)

    async def _accept(self, message: Message) -> None:
        await self._send(message)
        self._accepted_at = perf_counter_ns()
        self.endpoint = self.route or UNKNOWN_ENDPOINT
        self._telemetry.websocket.opened(self)

    async def _close(self, message: Message) -> None:
        if self._accepted_at is None:
            self._refused = 403  # what servers answer to a handshake that is closed
        elif self._code is None:
            self._code = message.get("code", NORMAL_CLOSURE)
        try:
            await self._send(message)
        finally:
            self._end_connection()

    def _count(self, direction: str, message: Message) -> None:
        payload = message.get("bytes")
        text = message.get("text")
        size = len(payload) if payload is not None else len(text.encode()) if text is not None else 0
        meters = self._telemetry.websocket
        meters.messages.add((self.endpoint, direction))
        meters.io.add((self.endpoint, direction), size)
        if self._message_tracer is not None:
            span = self._message_tracer.start_span(
                f"{self.endpoint} {direction}", attributes={"network.io.direction": direction, "size": size}
            )
            span.end()

    def fail(self, error: BaseException) -> None:
        """Note the exception that left the application.

        Args:
            error: The exception. A disconnection that was not handled is none of the server's failures.
        """
        if self._finished or is_departure(error) or type(error).__name__ in _DISCONNECTS:
            return
        self._error = error_name(error)
        if self._accepted_at is None:
            self._refused = self._refused or 500  # what servers answer then
        elif self._code is None:
            self._code = INTERNAL_ERROR
        record_exception(self._span, error)

    def finish(self) -> None:
        """Record the connection's end, unless that has been done."""
        self._end_connection()
        if self._finished:
            return
        self._finished = True
        if not self._span.is_recording():
            return
        attributes: dict[str, Any] = {
            "ansflow.websocket.messages.sent": self._sent,
            "ansflow.websocket.messages.received": self._received,
        }
        if self.route is not None:
            attributes["http.route"] = self.route
        status = 101 if self._accepted_at is not None else self._refused
        if status is not None:
            attributes["http.response.status_code"] = status
        if self._code is not None:
            attributes["ansflow.websocket.close.code"] = self._code
        error = self._error
        if error is None and status is not None and status >= 500:
            error = str(status)
        if error is not None:
            attributes["error.type"] = error
        name = f"WS {self.route}" if self.route is not None else "WS"
        complete_span(self._span, "WS", name, attributes, time_ns(), error)

    def _end_connection(self) -> None:
        """Take the connection from the active ones, once."""
        accepted_at = self._accepted_at
        meters = self._telemetry.websocket
        if accepted_at is None or self not in meters.active:
            return
        meters.active.discard(self)
        code = ABNORMAL_CLOSURE if self._code is None else self._code
        meters.disconnections.add((self.endpoint, label_of(code)))
        elapsed = perf_counter_ns() - accepted_at
        meters.duration.record(self.endpoint, elapsed / 1e9, exemplar_context(self._span))


async def serve(telemetry: HttpTelemetry, scope: Scope, receive: Receive, send: Send, app: Serve) -> None:
    """Serve a WebSocket, and record it.

    Args:
        telemetry: Where to.
        scope: The handshake's.
        receive: The server's.
        send: The server's.
        app: Serves the connection.

    Raises:
        BaseException: Whatever the application raised.
    """
    headers = dict(scope.get("headers", ()))
    if telemetry.settings.exclusion.covers(
        scope["path"], scope.get("root_path", ""), scope.get("scheme", "ws"), authority_of(scope, headers)
    ):
        scope[OWNED] = None
        with unsampled():
            await app(scope, receive, send)
        return
    connection = WebSocketConnection(telemetry, receive, send)
    scope[OWNED] = connection
    token = attach(connection.start(scope, headers))
    is_closed = False
    try:
        await app(scope, connection.receive, connection.send)
    except BaseException as error:
        is_closed = isinstance(error, GeneratorExit)
        connection.fail(error)
        raise
    finally:
        if not is_closed:
            detach(token)
        connection.finish()
        scope.pop(OWNED, None)  # as for requests
