"""The load that the end-to-end tests send with the traffic generator."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

REQUESTS = 1000
"""Requests to each service."""

WEBSOCKET_SESSIONS = 5

RequestKey = tuple[str, str, str]
"""Method, route and status, as the published metrics label them."""


@dataclass(frozen=True)
class Sessions:
    """WebSocket sessions with one endpoint."""

    count: int
    messages: int
    """Those that the client has read: at most as many as the service has sent."""
    sent: int
    """Those that the client has sent."""


@dataclass(frozen=True)
class Load:
    """What was sent, by the traffic generator's own summary."""

    summary: dict[str, Any]

    def requests(self, service: str) -> Counter[RequestKey]:
        """Return how many requests a service has answered, by their published labels."""
        return Counter(
            {
                # A path that the service does not know has no route.
                (entry["method"], entry["route"] or "unmatched", str(entry["status"])): entry["count"]
                for entry in self.summary["services"][service]["by_route"]
            }
        )

    def websockets(self) -> dict[str, Sessions]:
        """Return the WebSocket sessions by the published label, the endpoint's route."""
        return {
            entry["route"]: Sessions(entry["sessions"], entry["messages"], entry["sent"])
            for entry in self.summary["websockets"]
        }
