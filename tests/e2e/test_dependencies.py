"""WebSockets, caches, databases and integrations of the two services, as Prometheus has counted them."""

from collections import Counter

from ansflow_stack.local import ports
from support.load import WEBSOCKET_SESSIONS, Load
from support.polling import poll_until
from support.running_system import RunningSystem

FASTAPI = "ansflow/ansflow-fastapi"
DJANGO = "ansflow/ansflow-django"


def _sums(system: RunningSystem, metric: str, *by: str) -> dict[tuple[str, ...], float]:
    samples = system.prometheus.query(f"sum by ({', '.join(by)}) ({metric})")
    return {tuple(sample.labels.get(label, "") for label in by): sample.value for sample in samples}


def test_each_websocket_session_is_counted_once(system: RunningSystem, load: Load) -> None:
    """Opened, ended and no longer active, by endpoint; each message is counted by its direction."""
    sessions = load.websockets()
    assert sum(each.count for each in sessions.values()) == WEBSOCKET_SESSIONS

    def counted() -> None:
        expected = {(endpoint,): each.count for endpoint, each in sessions.items()}
        assert _sums(system, "ansflow_websocket_connections_total", "endpoint") == expected
        assert _sums(system, "ansflow_websocket_disconnections_total", "endpoint") == expected
        active = _sums(system, "ansflow_websocket_connections_active", "endpoint")
        assert active == {(endpoint,): 0 for endpoint in sessions}
        sent = _sums(system, 'ansflow_websocket_messages_total{direction="sent"}', "endpoint")
        for endpoint, each in sessions.items():
            assert sent.get((endpoint,), 0) >= each.messages
        received = _sums(system, 'ansflow_websocket_messages_total{direction="received"}', "endpoint")
        assert received == {(endpoint,): each.sent for endpoint, each in sessions.items()}

    poll_until(counted)


def test_each_websocket_session_is_one_span(system: RunningSystem, load: Load) -> None:
    """It begins with the connection and is named by its route; no message has a span of its own."""
    expected = {f"WS {endpoint}": each.count for endpoint, each in load.websockets().items()}

    def exported() -> None:
        assert Counter(span.name for span in system.spans() if span.is_websocket) == expected

    poll_until(exported)


def test_django_s_cache_hits_and_misses(system: RunningSystem, load: Load) -> None:
    """Every look-up is a hit or a miss, each miss fills the cache, and Prometheus makes the ratio of them."""
    lookups = load.requests("django")["GET", "api/settings/", "200"]

    def counted() -> None:
        found = _sums(system, "ansflow_cache_operations_total", "job", "cache", "operation", "status")
        get = {
            status: found.get((DJANGO, "default", "get", status), 0) for status in ("hit", "miss", "error")
        }
        assert get["hit"] > 0
        assert get["miss"] > 0
        assert get["error"] == 0
        # The health check looks something up as well.
        assert get["hit"] + get["miss"] >= lookups
        assert 0 < found[DJANGO, "default", "set", "ok"] <= get["miss"]
        # A miss that is the first point of its series is no increase to Prometheus.
        assert 0 < system.prometheus.value("ansflow_cache_hit_ratio") <= 1

    poll_until(counted)


def test_queries_of_both_services_are_timed(system: RunningSystem, load: Load) -> None:
    """Each service's own database, by operation; no path of the machine is in a label."""
    assert load.requests("fastapi")

    def timed() -> None:
        found = _sums(system, "ansflow_database_query_duration_seconds_count", "job", "database", "operation")
        for job, database in ((FASTAPI, "fastapi.sqlite3"), (DJANGO, "django.sqlite3")):
            for operation in ("SELECT", "INSERT", "UPDATE"):
                assert found.get((job, database, operation), 0) > 0, (job, operation)
        assert not [labels for labels in found if any("/" in label for label in labels[1:])]

    poll_until(timed)


def test_the_pool_s_connections_are_told(system: RunningSystem, load: Load) -> None:
    """The FastAPI service's pool has connections, all given back once the load is over."""
    assert load.requests("fastapi")

    def told() -> None:
        found = _sums(system, "ansflow_database_connections_active", "job", "database", "state")
        assert found[FASTAPI, "fastapi.sqlite3", "used"] == 0
        assert found[FASTAPI, "fastapi.sqlite3", "idle"] > 0

    poll_until(told)


def test_only_calls_that_leave_the_platform_are_integrations(system: RunningSystem, load: Load) -> None:
    """The outside service is the one integration, though the services call each other on loopback as well."""
    assert load.requests("fastapi")

    def counted() -> None:
        assert _sums(system, "ansflow_integration_calls_total", "job", "integration_type").keys() == {
            (FASTAPI, "artifact-registry")
        }
        outcomes = _sums(system, "ansflow_integration_calls_total", "status")
        assert outcomes["success",] > 0
        assert {status for (status,) in outcomes} <= {"success", "failed"}
        port = system.installation.numbers[ports.OUTSIDE]
        all_calls = _sums(system, "http_client_request_duration_seconds_count", "server_port")
        assert sum(outcomes.values()) == all_calls[str(port),]
        assert len(all_calls) > 1

    poll_until(counted)
