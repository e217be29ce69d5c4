"""Probes of WebSocket and TCP targets, against real servers on the loopback interface."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest
from aiohttp import WSMsgType, web
from ansflow_gateway.domain.health import ServiceHealth
from ansflow_gateway.domain.watch import Watched
from ansflow_gateway.prober.probe import Target
from ansflow_gateway.prober.prober import HealthProber
from ansflow_gateway.server import listen
from support.gateway import eventually

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
StartApp = Callable[[Handler], Awaitable[int]]


@pytest.fixture
async def start_app() -> AsyncIterator[StartApp]:
    """Give a function that serves a handler on all paths and tells the port."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> int:
            app = web.Application()
            app.router.add_get("/{path:.*}", handler)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            listener = listen("127.0.0.1", 0)
            await web.SockSite(runner, listener).start()
            port: int = listener.getsockname()[1]
            return port

        yield start


async def watch_once(url: str, deadline_s: float = 2.0) -> Watched:
    """Let a prober ask a URL once."""
    prober = HealthProber([Target("api", url)], 60, deadline_s, lambda _: None)
    running = asyncio.create_task(prober.run())
    try:

        def probed() -> None:
            assert "api" in prober.health

        await eventually(probed)
        return prober.health["api"]
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def ask_once(url: str, deadline_s: float = 2.0) -> ServiceHealth:
    """Let a prober ask a URL once; give what the probe said."""
    return (await watch_once(url, deadline_s)).health


async def echo(request: web.Request) -> web.StreamResponse:
    """Accept a WebSocket and answer pings, as every implementation does."""
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for _ in websocket:
        pass
    return websocket


async def test_a_websocket_that_answers_a_ping_is_up(start_app: StartApp) -> None:
    """Handshake, ping and pong are health, without checks, with a first state and availability."""
    watched = await watch_once(f"ws://127.0.0.1:{await start_app(echo)}/ws")
    assert watched.health == ServiceHealth(up=True)
    assert watched.state.up
    assert watched.availability == {"1h": 1.0, "24h": 1.0, "30d": 1.0}
    assert 0 < watched.duration_s < 2


async def test_a_websocket_that_talks_first_is_up(start_app: StartApp) -> None:
    """Messages and pings of the service before the pong are no obstacle, and its pings are answered."""
    answered = asyncio.Event()
    pinged = b""

    async def talk(request: web.Request) -> web.StreamResponse:
        nonlocal pinged
        websocket = web.WebSocketResponse(autoping=False)
        await websocket.prepare(request)
        await websocket.send_str("welcome")
        await websocket.send_bytes(b"snapshot")
        await websocket.ping(b"who")
        while (message := await websocket.receive()).type is not WSMsgType.CLOSE:
            if message.type is WSMsgType.PONG and message.data == b"who":
                answered.set()
                await websocket.pong(pinged)
            elif message.type is WSMsgType.PING:
                pinged = message.data
        return websocket

    assert await ask_once(f"ws://127.0.0.1:{await start_app(talk)}/ws") == ServiceHealth(up=True)
    assert answered.is_set()


async def test_a_websocket_that_never_answers_the_ping_is_down(start_app: StartApp) -> None:
    """An accepted handshake is not enough."""

    async def mute(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(autoping=False)
        await websocket.prepare(request)
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while (await websocket.receive()).type is not WSMsgType.CLOSE:
                    pass
        return websocket

    health = await ask_once(f"ws://127.0.0.1:{await start_app(mute)}/ws", 0.3)
    assert (health.up, health.problem) == (False, "no answer within 0.3 s")


async def test_a_websocket_that_closes_at_once_is_down(start_app: StartApp) -> None:
    """The close code is told."""

    async def close(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await websocket.close(code=1013)
        return websocket

    health = await ask_once(f"ws://127.0.0.1:{await start_app(close)}/ws")
    assert not health.up
    assert "1013" in (health.problem or "")


async def test_a_refused_handshake_is_down(start_app: StartApp) -> None:
    """An HTTP answer in the place of a WebSocket is no health."""

    async def plain(_: web.Request) -> web.StreamResponse:
        return web.Response(text="fine")

    health = await ask_once(f"ws://127.0.0.1:{await start_app(plain)}/ws")
    assert not health.up
    assert "WSServerHandshakeError" in (health.problem or "")


async def test_a_redirected_handshake_is_not_followed(start_app: StartApp) -> None:
    """A service that sends the prober to another, however healthy, hasn't said that it is."""
    asked = []

    async def other(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await echo(request)

    elsewhere = f"http://127.0.0.1:{await start_app(other)}/ws"

    async def redirect(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(elsewhere)

    health = await ask_once(f"ws://127.0.0.1:{await start_app(redirect)}/ws")
    assert not health.up
    assert "302" in (health.problem or "")
    assert asked == []


async def test_a_websocket_server_that_does_not_say_goodbye_is_up(start_app: StartApp) -> None:
    """After the pong the close is waited for half a second, not until the deadline, and doesn't count."""
    leaving = asyncio.Event()

    async def linger(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(autoclose=False)
        await websocket.prepare(request)
        await websocket.receive()
        await leaving.wait()
        return websocket

    try:
        assert (await ask_once(f"ws://127.0.0.1:{await start_app(linger)}/ws", 10)).up
    finally:
        leaving.set()


@pytest.mark.parametrize("closes", [True, False], ids=["closes", "silent"])
async def test_a_tcp_server_that_accepts_is_up(closes: bool) -> None:
    """Whether it then hangs up or says nothing is its protocol's affair."""
    accepted = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        if not closes:
            await asyncio.sleep(0.2)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await ask_once(f"tcp://127.0.0.1:{port}") == ServiceHealth(up=True)
        await asyncio.wait_for(accepted.wait(), 5)
        await asyncio.sleep(0.3)  # the handlers end before the loop does


async def test_a_tcp_port_where_nobody_listens_is_down() -> None:
    """A refused connection is told as such."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets the port
        health = await ask_once(f"tcp://127.0.0.1:{taken.getsockname()[1]}")
    assert not health.up
    assert "ConnectionRefusedError" in (health.problem or "")


async def test_a_state_survives_one_failed_probe_and_counts_its_changes(start_app: StartApp) -> None:
    """The latest probe's word and the state differ after one failure; the second brings the state down."""
    answers = iter([True, False, True, False, False])
    pass_on = True

    async def serve(_: web.Request) -> web.StreamResponse:
        nonlocal pass_on
        pass_on = next(answers, pass_on)
        return web.json_response({"status": "pass" if pass_on else "fail"})

    port = await start_app(serve)
    seen: list[tuple[bool, bool]] = []
    prober = HealthProber(
        [Target("api", f"http://127.0.0.1:{port}/")],
        0.02,
        2,
        lambda result: seen.append((result.health.up, prober.health["api"].state.up)),
    )
    running = asyncio.create_task(prober.run())
    try:

        def enough() -> None:
            assert len(seen) >= 5

        await eventually(enough)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert seen[:5] == [(True, True), (False, True), (True, True), (False, True), (False, False)]
    assert (prober.health["api"].state.falls, prober.health["api"].state.rises) == (1, 0)
    assert prober.health["api"].availability["1h"] == pytest.approx(2 / len(seen))
