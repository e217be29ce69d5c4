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
