"""A WSGI application that counts with prometheus_client, also while it is loaded."""

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

orders = Counter("shop_orders", "Orders taken", ["kind"])
sizes = Histogram("shop_order_size", "Size of orders", buckets=(1, 10))
load = Gauge("shop_load", "Load", multiprocess_mode="liveall")

for _ in range(5):
    orders.labels("at the start").inc()
    sizes.observe(7)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Take an order."""
    orders.labels("online").inc()
    sizes.observe(3)
    load.set(1)
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"taken"]
