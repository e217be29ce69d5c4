"""Running the gateway until it is told to stop."""

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from ansflow_gateway import __version__
from ansflow_gateway.app import build_app
from ansflow_gateway.config import OPTIONS, Settings
from ansflow_gateway.errors import ListenError
from ansflow_gateway.heap import keep_collections_short
from ansflow_gateway.lifetimes import TALLY
from ansflow_gateway.lifetimes.tasks import background
from ansflow_gateway.receivers.events import RECEIVER
from ansflow_gateway.receivers.slim.path import SlimPath
from ansflow_gateway.web.authorization import SENDERS
from ansflow_gateway.web.drain import DRAIN
from ansflow_gateway.web.malformed import Connection
from ansflow_gateway.web.tls import build_context

_LOG: Final = logging.getLogger(__name__)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_PORT: Final = next(option for option in OPTIONS if option.name == "port")
_BACKLOG: Final = 1024
CONNECTIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "access_log": None,  # requests are counted, not logged
        "auto_decompress": False,  # the bound on a body is one on what it inflates to
    }
)
"""Options of aiohttp's connections."""

_CUT_OFF_S: Final = 0.2  # for handlers that are cancelled after the draining


async def serve(settings: Settings) -> None:
    """Run the gateway until SIGTERM or SIGINT, then stop it gracefully.

    The stop closes the listener, gives requests under way `drain_deadline` seconds, ends the background work
    and pushes the metrics a last time within `flush_deadline` seconds. A second signal ends the process at
    once.

    Args:
        settings: The effective settings.

    Raises:
        ListenError: The address can't be listened on.
        StoreRefusedError: The store must not be used.
    """
    # Bound before anything is started: a second gateway must not push metrics under the first one's identity.
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    runner = build_runner(settings, port)
    let_collections_be = keep_collections_short()
    try:
        await runner.setup()
        context = build_context(settings.tls) if settings.tls else None
        front = Front(runner)
        await front.start(listener, context)
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"{'https' if context else 'http'}://{shown}:{port}"
        _LOG.info("listening", extra={"url": url, "version": __version__})
        await stop.wait()
        _LOG.info("stopping")
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        if cut_off := await front.finish(settings.drain_deadline):
            _LOG.warning("requests are cut off", extra={"requests": cut_off})
    finally:
        await runner.cleanup()
        listener.close()
        let_collections_be()
    _LOG.info("stopped")


class Front:
    """What takes connections: the slim path for plain events, and aiohttp behind it for all else.

    Args:
        runner: The application's runner, which is set up.
    """

    def __init__(self, runner: web.AppRunner) -> None:
        if runner.server is None:
            raise ValueError("the runner isn't set up")
        self._drain = runner.app[DRAIN]
        tally = runner.app[TALLY]
        make = partial(
            Connection, runner.server, lambda rejection: tally.rejected(rejection, "-"), **CONNECTIONS
        )
        self._path = SlimPath(runner.app[RECEIVER], self._drain, runner.app[SENDERS].permits, make)
        self._server: asyncio.Server | None = None
        self._watching = AsyncExitStack()

    async def start(self, listener: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Take connections.

        Args:
            listener: Where.
            context: Of TLS; None for none.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._path, sock=listener, backlog=_BACKLOG, ssl=context)
        await self._watching.enter_async_context(background(slim_path=self._path.watch()))

    async def finish(self, deadline_s: float) -> int:
        """Take no more connections, and let requests under way finish.

        Args:
            deadline_s: Longest wait, in seconds.

        Returns:
            Number of requests that are cut off.
        """
        if self._server is not None:
            self._server.close()
        cut_off = await self._drain.finish(deadline_s)
        await self._watching.aclose()
        self._path.close()
        return cut_off


def build_runner(settings: Settings, port: int) -> web.AppRunner:
    """Build the runner of an application on one port.

    Args:
        settings: The effective settings.
        port: The port that is listened on.

    Returns:
        The runner, not yet set up.
    """
    return web.AppRunner(
        build_app(settings, port=port),
        **CONNECTIONS,
        shutdown_timeout=_CUT_OFF_S,
    )


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Args:
        host: Address or name.
        port: Port; 0 takes a free one.

    Returns:
        The socket.

    Raises:
        ListenError: It can't be opened; the message names the way out.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ListenError(
            f"can't listen on {host}:{port} ({error.strerror or error}); "
            f"{_PORT.flag} or {_PORT.variable} sets another port"
        ) from error
