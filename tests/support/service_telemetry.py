"""What instrumentation records of a service's WebSockets, caches, databases, clients and business."""

from opentelemetry.util.types import AttributeValue

from support.senders import Worker

Call = tuple[dict[str, AttributeValue], int]
"""The attributes of an outgoing request, and how many there were."""


def call(
    host: str, port: int | None, status: int | None, error: str | None = None
) -> dict[str, AttributeValue]:
    """Return the attributes of an outgoing request.

    Args:
        host: server.address.
        port: server.port.
        status: of the answer; None if there was none.
        error: error.type where there was no answer; otherwise it is the status code, if that is an error's.
    """
    attributes: dict[str, AttributeValue] = {"http.request.method": "GET", "server.address": host}
    if port is not None:
        attributes["server.port"] = port
    if status is not None:
        attributes["http.response.status_code"] = status
        if status >= 400:
            error = str(status)
    if error is not None:
        attributes["error.type"] = error
    return attributes


CALLS: list[Call] = [
    (call("api.github.com", 443, 200), 3),
    (call("API.GitHub.com", 443, 201), 1),
    (call("github.com", None, 304), 1),
    (call("api.github.com", 443, 404), 2),
    (call("hooks.slack.com", 443, 503), 1),
    (call("hooks.slack.com", 443, None, "ConnectError"), 1),
    (call("www.shop.co.uk", 443, 200), 1),
    (call("shop.co.uk", 443, 200), 1),
    (call("192.0.2.7", 80, 200), 1),
    (call("2001:db8::7", 80, 200), 1),
    # More hosts than the SDK has series for: it gives the rest one without attributes.
    ({"otel.metric.overflow": True}, 5),
    # The platform's own: not one of them is an integration.
    (call("localhost", 8000, 200), 100),
    (call("127.0.0.1", 8001, 503), 100),
    (call("::1", 8001, 200), 100),
    (call("collector", 4318, 200), 100),
    (call("db.internal", 443, 200), 100),
    (call("api.default.svc", 443, 200), 100),
    # Within the business API's integration_call, which has counted it.
    ({**call("api.github.com", 443, 200), "ansflow.integration.type": "github"}, 100),
]
"""Outgoing requests of one worker: attributes as instrumentation records them, and how many."""


def record_calls(sender: Worker, calls: list[Call]) -> None:
    """Record outgoing requests, each of 0.2 s."""
    histogram = sender.meters.get_meter("clients").create_histogram("http.client.request.duration", unit="s")
    for attributes, count in calls:
        for _ in range(count):
            histogram.record(0.2, attributes)


def record_service(sender: Worker) -> None:
    """Record what instrumentation records of WebSockets, caches, databases, clients and the business API."""
    record_calls(sender, CALLS)
    _record_websockets(sender)
    _record_database(sender)
    caches = sender.meters.get_meter("caches").create_counter("ansflow.cache.operations", unit="{operation}")
    for cache, operation, status, count in (
        ("default", "get", "hit", 3),
        ("default", "get", "miss", 1),
        ("default", "set", "ok", 1),
        ("sessions", "get", "error", 2),
    ):
        caches.add(count, {"cache": cache, "operation": operation, "status": status})
    business = sender.meters.get_meter("business")
    business.create_counter("ansflow.user.activity", unit="{action}").add(
        3, {"action": "deploy", "user_type": "developer"}
    )
    calls = business.create_counter("ansflow.integration.calls", unit="{call}")
    calls.add(3, {"integration_type": "github", "status": "success"})
    calls.add(1, {"integration_type": "github", "status": "failed"})


def _record_websockets(sender: Worker) -> None:
    meter = sender.meters.get_meter("websockets")
    endpoint = {"endpoint": "/ws/monitor"}
    meter.create_counter("ansflow.websocket.connections", unit="{connection}").add(5, endpoint)
    active = meter.create_up_down_counter("ansflow.websocket.connections.active", unit="{connection}")
    active.add(5, endpoint)
    active.add(-3, endpoint)
    ended = meter.create_counter("ansflow.websocket.disconnections", unit="{disconnection}")
    ended.add(2, {**endpoint, "code": "1000"})
    ended.add(1, {**endpoint, "code": "1006"})
    messages = meter.create_counter("ansflow.websocket.messages", unit="{message}")
    messages.add(40, {**endpoint, "direction": "sent"})
    messages.add(3, {**endpoint, "direction": "received"})


def _record_database(sender: Worker) -> None:
    meter = sender.meters.get_meter("database")
    queries = meter.create_histogram(
        "db.client.operation.duration", unit="s", explicit_bucket_boundaries_advisory=[0.01, 0.1, 1.0]
    )
    shop = {"db.system.name": "postgresql", "db.namespace": "shop"}
    for attributes in (
        {**shop, "db.operation.name": "SELECT", "server.address": "replica-1"},
        {**shop, "db.operation.name": "SELECT", "server.address": "replica-2"},
        {**shop, "db.operation.name": "INSERT", "error.type": "IntegrityError"},
        {
            "db.system.name": "sqlite",
            "db.namespace": "/srv/data/fastapi.sqlite3",
            "db.operation.name": "SELECT",
        },
        {"db.system.name": "redis", "db.namespace": ""},
        {"db.system.name": "redis", "db.namespace": "1", "db.operation.name": "GET"},
        {},
    ):
        queries.record(0.05, attributes)
    connections = meter.create_up_down_counter("db.client.connection.count", unit="{connection}")
    for pool, state, count in (
        ("postgresql/shop", "used", 3),
        ("postgresql/shop#2", "used", 1),
        ("postgresql/shop", "idle", 7),
        ("sqlite//srv/data/fastapi.sqlite3", "idle", 1),
    ):
        connections.add(count, {"db.client.connection.pool.name": pool, "db.client.connection.state": state})
    # A pool that the application named itself.
    connections.add(
        2,
        {
            "db.client.connection.pool.name": "reports",
            "db.client.connection.state": "idle",
            "db.namespace": "warehouse",
        },
    )
    connections.add(
        1,
        {
            "db.client.connection.pool.name": "redis/1",
            "db.client.connection.state": "used",
            "db.system.name": "redis",
            "db.namespace": "1",
        },
    )
    connections.add(1)
