"""Events that simply add up: activity, calls, usage, connections."""

from ansflow_gateway.domain.events import IntegrationCall, ProjectUsage, UserActivity, WebSocketActivity
from ansflow_gateway.meters import business as b
from ansflow_gateway.meters.table import Table


def count(
    table: Table, event: UserActivity | IntegrationCall | ProjectUsage | WebSocketActivity, at: float
) -> None:
    """Record what an event says.

    Args:
        table: Where; its lock is held.
        event: The event.
        at: When it came, in seconds since the epoch.
    """
    match event:
        case UserActivity():
            table.add(b.USER_ACTIVITY, (event.action, event.user_type), 1, at)
        case IntegrationCall():
            _call(table, event, at)
        case ProjectUsage():
            _usage(table, event, at)
        case WebSocketActivity():
            _connections(table, event, at)


def _call(table: Table, call: IntegrationCall, at: float) -> None:
    status = "success" if call.success else "failed"
    table.add(b.INTEGRATION_CALLS, (call.integration_type, status), 1, at)
    if call.duration_s is not None:
        error = "" if call.success else (call.error_type or b.UNKNOWN_ERROR)
        table.record(b.INTEGRATION_DURATION, (call.integration_type, status, error), call.duration_s, at)


def _usage(table: Table, usage: ProjectUsage, at: float) -> None:
    labels = (usage.project,)
    for counter, amount in ((b.PROJECT_CPU, usage.cpu_s), (b.PROJECT_NETWORK, usage.network_bytes)):
        if amount is not None:
            table.add(counter, labels, amount, at)
    for gauge, value in ((b.PROJECT_STORAGE, usage.storage_bytes), (b.PROJECT_MEMORY, usage.memory_bytes)):
        if value is not None:
            table.set(gauge, labels, value, at)


def _connections(table: Table, activity: WebSocketActivity, at: float) -> None:
    endpoint = activity.endpoint
    closed = sum(activity.closed.values())
    if activity.opened:
        table.add(b.WEBSOCKET_CONNECTIONS, (endpoint,), activity.opened, at)
    for code, number in activity.closed.items():
        table.add(b.WEBSOCKET_DISCONNECTIONS, (endpoint, code), number, at)
    for direction, number in (("sent", activity.sent), ("received", activity.received)):
        if number:
            table.add(b.WEBSOCKET_MESSAGES, (endpoint, direction), number, at)
    if activity.opened or closed:
        table.adjust(b.WEBSOCKET_ACTIVE, (endpoint,), activity.opened - closed, at)
