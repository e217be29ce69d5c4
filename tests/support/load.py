"""The load that the end-to-end tests send with the traffic generator."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

ROUNDS = 2
"""Prometheus sees no increase in the first point of a series: what one round begins, the next increases."""

REQUESTS = 1000
"""Requests to each service, of all rounds."""

WEBSOCKET_SESSIONS = 10
"""Of all rounds."""

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
    """What was sent, by the traffic generator's own summaries, one a round."""

    summaries: tuple[dict[str, Any], ...]

    def requests(self, service: str) -> Counter[RequestKey]:
        """Return how many requests a service has answered, by their published labels."""
        answered: Counter[RequestKey] = Counter()
        for summary in self.summaries:
            for entry in summary["services"][service]["by_route"]:
                # A path that the service does not know has no route.
                key = (entry["method"], entry["route"] or "unmatched", str(entry["status"]))
                answered[key] += entry["count"]
        return answered

    def websockets(self) -> dict[str, Sessions]:
        """Return the WebSocket sessions by the published label, the endpoint's route."""
        held: dict[str, Sessions] = {}
        for summary in self.summaries:
            for entry in summary["websockets"]:
                before = held.get(entry["route"], Sessions(0, 0, 0))
                held[entry["route"]] = Sessions(
                    before.count + entry["sessions"],
                    before.messages + entry["messages"],
                    before.sent + entry["sent"],
                )
        return held
