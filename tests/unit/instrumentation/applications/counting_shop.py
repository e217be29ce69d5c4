"""A WSGI application that counts by itself: when it is imported, and at each request."""

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import metrics

meter = metrics.get_meter("counting_shop")
meter.create_counter("shop.imports").add(3)
meter.create_up_down_counter("shop.open").add(1)
requests = meter.create_counter("shop.requests")


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer, and count it."""
    requests.add(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
