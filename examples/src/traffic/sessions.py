"""WebSocket sessions."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from traffic.summary import Summary
from traffic.world import World

MONITOR = "/ws/monitor"
PIPELINE = "/ws/pipelines/{pipeline_id}"


class WebSocketClient:
    """Opens WebSocket sessions with the pipeline service.

    Args:
        base_url: The service's HTTP address.
        world: Where sessions can go.
        summary: Where they are counted.
    """

    def __init__(self, base_url: str, world: World, summary: Summary) -> None:
        parts = urlsplit(base_url)
        self._base = urlunsplit(("wss" if parts.scheme == "https" else "ws", parts.netloc, "", "", ""))
        self._world = world
        self._summary = summary

    async def session(self, *, seconds: float, stop: asyncio.Event) -> bool:
        """Have one session: with the monitor, or with a pipeline where one is known.

        Args:
            seconds: How long it lasts at most.
            stop: Set to end it sooner.

        Returns:
            Whether it was opened and ended well.
        """
        pipelines = self._world.pipelines
        if pipelines and self._world.chance.random() < 0.5:
            number = self._world.chance.choice(pipelines)
            return await self._listen(PIPELINE, f"/ws/pipelines/{number}", seconds, stop)
        return await self._listen(MONITOR, f"{MONITOR}?interval_s=0.5", seconds, stop)

    async def _listen(self, route: str, path: str, seconds: float, stop: asyncio.Event) -> bool:
        stopped = asyncio.create_task(stop.wait())
        try:
            async with connect(f"{self._base}{path}", open_timeout=5, close_timeout=2, proxy=None) as socket:
                self._summary.sessions[route] += 1
                # The service reads what comes, and does not mind what it is.
                await socket.send("hello")
                self._summary.sent[route] += 1

                async def count() -> None:
                    async for _ in socket:
                        self._summary.messages[route] += 1

                counting = asyncio.create_task(count())
                try:
                    await asyncio.wait(
                        [counting, stopped], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
                    )
                    broken = counting.done() and not stopped.done()
                finally:
                    counting.cancel()
                    await asyncio.gather(counting, return_exceptions=True)
        except (OSError, TimeoutError, WebSocketException, ConnectionClosed):
            broken = True
        finally:
            stopped.cancel()
        if broken:
            self._summary.session_errors[route] += 1
        return not broken
