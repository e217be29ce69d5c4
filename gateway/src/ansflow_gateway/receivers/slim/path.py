"""What the connections of the slim path share."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from ansflow_gateway.receivers.events import EventReceiver
from ansflow_gateway.receivers.slim.connection import SlimConnection
from ansflow_gateway.receivers.slim.heads import Heads
from ansflow_gateway.receivers.slim.replies import Replies
from ansflow_gateway.web.drain import Drain

PATIENCE_S: Final = 1.0
"""Time in which a request is to be whole, in seconds; aiohttp, which has deadlines, waits for the rest."""

KEEP_ALIVE_S: Final = 3630.0
"""Time after which a connection is closed that is idle, or whose sender doesn't read the answers, in seconds:
aiohttp's own default."""


class SlimPath:
    """Makes the protocol of each new connection.

    Args:
        receiver: Takes events in.
        drain: Knows the requests under way.
        permits: Tells whether an `Authorization` header, empty where there is none, allows to send events.
        other: Makes the protocol of what isn't taken here.
    """

    def __init__(
        self,
        receiver: EventReceiver,
        drain: Drain,
        permits: Callable[[str], bool],
        other: Callable[[], asyncio.Protocol],
    ) -> None:
        self.receiver = receiver
        self.drain = drain
        self.permits = permits
        self.other = other
        self.heads = Heads()
        self.replies = Replies()
        self.connections: set[SlimConnection] = set()
        drain.at_start(self._close_idle)

    def __call__(self) -> SlimConnection:
        """Make a connection's protocol."""
        return SlimConnection(self)

    async def watch(self) -> None:
        """See to connections on which nothing comes, until cancelled."""
        while True:
            await asyncio.sleep(PATIENCE_S)
            self.look()

    def look(self) -> None:
        """Hand over what waits for too long, and close what nothing has come of for too long."""
        now = time.monotonic()
        for connection in list(self.connections):
            waited = now - connection.since
            if connection.waits_for_body and waited > PATIENCE_S and not self.drain.draining:
                connection.hand_over()
            elif waited > KEEP_ALIVE_S and connection.unread:
                connection.abort()
            elif waited > KEEP_ALIVE_S and connection.idle:
                connection.close()

    def close(self) -> None:
        """Close all connections that are left."""
        for connection in list(self.connections):
            connection.close()

    def _close_idle(self) -> None:
        for connection in list(self.connections):
            if not connection.under_way:
                connection.close()
