"""What is requested: an application with one route or a hundred, the last of them or all in turn."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "NAME_PREFIX",
    "PATH_PREFIX",
    "WORKLOADS",
    "Workload",
    "item_name",
    "item_path",
    "request_headers",
    "route_pattern",
]


@dataclass(frozen=True)
class Workload:
    """Requests to one application.

    Attributes:
        routes: Routes that the application has.
        spread: Whether requests go to all routes in turn, or all to the last one.
    """

    routes: int
    spread: bool

    @property
    def title(self) -> str:
        """Name in the tables."""
        if self.routes == 1:
            return "1 route"
        return f"{self.routes} routes, {'spread over all' if self.spread else 'all to the last'}"

    def paths(self) -> Iterator[str]:
        """Give the paths to request, endlessly."""
        first = 0 if self.spread else self.routes - 1
        return itertools.cycle([f"{item_path(number)}/7" for number in range(first, self.routes)])


WORKLOADS = (Workload(1, spread=False), Workload(100, spread=False), Workload(100, spread=True))
"""All workloads, in the order of the tables."""


PATH_PREFIX = "/things"
NAME_PREFIX = "item-"


def item_path(number: int) -> str:
    """Give a route's path before its parameter."""
    return f"{PATH_PREFIX}{number}"


def item_name(number: int) -> str:
    """Give a Django route's name."""
    return f"{NAME_PREFIX}{number}"


def route_pattern(number: int) -> str:
    """Give a route's pattern in FastAPI's notation."""
    return f"{item_path(number)}/{{item_id}}"


def request_headers() -> dict[str, str]:
    """Give the headers of each request: those that a plain HTTP client sends."""
    return {
        "host": "127.0.0.1:8001",
        "user-agent": "bench/1.0",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
        "connection": "keep-alive",
    }
