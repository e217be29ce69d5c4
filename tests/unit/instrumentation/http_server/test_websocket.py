"""One WebSocket over ASGI: a span a connection, and meters that are exact however it ends."""

import asyncio
from typing import Any

import pytest
from ansflow_instrumentation.http import close_codes
from opentelemetry.trace import StatusCode
from support.recorded_http import Recorded

CONNECT = {"type": "websocket.connect"}
PREFIX = "ansflow.websocket."


def text(content: str) -> dict[str, Any]:
    """A message from the client."""
    return {"type": "websocket.receive", "text": content}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Return every message, until the client goes."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def test_connections_and_messages_are_exact() -> None:
    """N connections with M messages are N and M, in and out, with their bytes; none is active afterwards."""
    recorded = Recorded()
    messages = [CONNECT, text("äh"), {"type": "websocket.receive", "bytes": b"12345"}]
    ends = {"type": "websocket.disconnect", "code": 1001}
    await asyncio.gather(*(recorded.connection(echo, [*messages, ends]) for _ in range(7)))
    assert recorded.values(PREFIX + "connections", "endpoint") == {("unknown",): 7}
    assert recorded.values(PREFIX + "disconnections", "endpoint", "code") == {("unknown", "1001"): 7}
    assert recorded.values(PREFIX + "messages", "direction") == {("received",): 14, ("sent",): 14}
    assert recorded.values(PREFIX + "io", "direction") == {("received",): 56, ("sent",): 56}
    assert recorded.values(PREFIX + "connections.active", "endpoint") == {("unknown",): 0}
    (duration,) = recorded.points(PREFIX + "connection.duration")
    assert duration.count == 7


async def test_a_connection_is_one_span() -> None:
    """No span a message; the connection's has the counts, the close code and the handshake's status."""
    recorded = Recorded()
    await recorded.connection(echo, [CONNECT, text("a"), text("b"), {"type": "websocket.disconnect"}])
    attributes = recorded.span.attributes or {}
    assert recorded.span.name == "WS"
    assert attributes["ansflow.websocket.messages.sent"] == 2
    assert attributes["ansflow.websocket.messages.received"] == 2
    assert attributes["ansflow.websocket.close.code"] == 1006
    assert attributes["http.response.status_code"] == 101


async def test_messages_have_spans_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable turns a span a message on."""
    monkeypatch.setenv("ANSFLOW_WEBSOCKET_MESSAGE_SPANS", "true")
    recorded = Recorded()
    monkeypatch.setattr("opentelemetry.trace.get_tracer", recorded.provider.get_tracer)
    await recorded.connection(echo, [CONNECT, text("a"), {"type": "websocket.disconnect", "code": 1000}])
    assert sorted(span.name for span in recorded.spans) == ["WS", "unknown received", "unknown sent"]


async def test_the_server_may_close() -> None:
    """A close by the application ends the connection with its code, once."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4001})
        await receive()

    await recorded.connection(app, [CONNECT, {"type": "websocket.disconnect", "code": 1000}])
    assert recorded.values(PREFIX + "disconnections", "code") == {("4001",): 1}
    assert recorded.values(PREFIX + "connections.active", "endpoint") == {("unknown",): 0}


async def test_a_refused_handshake_is_no_connection() -> None:
    """Closed before it was accepted: 403, a span, and no connection."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1000})

    await recorded.connection(app, [CONNECT])
    assert (recorded.span.attributes or {})["http.response.status_code"] == 403
    assert not recorded.points(PREFIX + "connections")
    assert not recorded.points(PREFIX + "disconnections")


async def test_a_bug_ends_the_connection_with_1011() -> None:
    """An exception is recorded once, and the gauge does not leak."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        await recorded.connection(app, [CONNECT])
    assert recorded.span.status.status_code is StatusCode.ERROR
    assert recorded.values(PREFIX + "disconnections", "code") == {("1011",): 1}
    assert recorded.values(PREFIX + "connections.active", "endpoint") == {("unknown",): 0}


async def test_a_cancelled_connection_does_not_leak() -> None:
    """A server that cancels (at its shutdown) leaves nothing active: the connection ended abnormally."""
    recorded = Recorded()
    serving = asyncio.create_task(recorded.connection(echo, [CONNECT]))
    await asyncio.sleep(0.01)
    assert recorded.values(PREFIX + "connections.active", "endpoint") == {("unknown",): 1}
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert recorded.values(PREFIX + "disconnections", "code") == {("1006",): 1}
    assert recorded.values(PREFIX + "connections.active", "endpoint") == {("unknown",): 0}
    assert recorded.span.status.status_code is StatusCode.UNSET


async def test_invented_close_codes_are_few_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients may send two thousand codes of their own: fifty are told apart, the rest is one."""
    monkeypatch.setattr(close_codes, "_application_codes", set())
    recorded = Recorded()
    for code in range(3000, 3100):
        await recorded.connection(echo, [CONNECT, {"type": "websocket.disconnect", "code": code}])
    counted = recorded.values(PREFIX + "disconnections", "code")
    assert len(counted) == close_codes.MAX_APPLICATION_CODES + 1
    assert counted["other",] == 100 - close_codes.MAX_APPLICATION_CODES
