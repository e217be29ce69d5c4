"""Published names of WebSockets, caches, databases and integrations, on a real Collector's endpoint."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.collector import Collector, Exposition, run_collector
from support.senders import worker
from support.service_telemetry import call, record_calls, record_service

pytestmark = pytest.mark.integration

_CALL_COUNTS = {
    ("github.com", "success"): 5.0,
    ("github.com", "failed"): 2.0,
    ("slack.com", "failed"): 2.0,
    ("shop.co.uk", "success"): 2.0,
    ("ip", "success"): 2.0,
    ("other", "success"): 5.0,
}
"""What of them are calls of integrations, by whom they called."""


@pytest.fixture(name="served", scope="module")
def _served(collector: Collector) -> Iterator[Exposition]:
    """Two workers of each service have sent their first export."""
    with contextlib.ExitStack() as stack:
        for service in ("ansflow-fastapi", "ansflow-django"):
            for slot in ("0", "1"):
                sender = stack.enter_context(worker(collector.endpoint, _resource(service, slot)))
                record_service(sender)
                sender.flush()
        yield collector.scrape()


def test_websocket_meters_are_served_under_their_translated_names(served: Exposition) -> None:
    """Counts and the gauge of open connections are exact, and no name has its suffix twice."""
    for name, by, one_worker in (
        ("ansflow_websocket_connections_total", ("endpoint",), {("/ws/monitor",): 5.0}),
        ("ansflow_websocket_connections_active", ("endpoint",), {("/ws/monitor",): 2.0}),
        (
            "ansflow_websocket_disconnections_total",
            ("endpoint", "code"),
            {("/ws/monitor", "1000"): 2.0, ("/ws/monitor", "1006"): 1.0},
        ),
        (
            "ansflow_websocket_messages_total",
            ("endpoint", "direction"),
            {("/ws/monitor", "sent"): 40.0, ("/ws/monitor", "received"): 3.0},
        ),
    ):
        for instance in ("0", "1"):
            found = served.sums(name, by, job="ansflow/ansflow-fastapi", instance=instance)
            assert found == one_worker, name
    assert not [name for name in served.families if name.endswith(("_total_total", "_total_ratio"))]


def test_cache_operations_are_counted_by_outcome(served: Exposition) -> None:
    """Hits and misses of each cache; the ratio is for Prometheus to make of them."""
    by = ("cache", "operation", "status")
    assert served.sums("ansflow_cache_operations_total", by, job="ansflow/ansflow-django") == {
        ("default", "get", "hit"): 6.0,
        ("default", "get", "miss"): 2.0,
        ("default", "set", "ok"): 2.0,
        ("sessions", "get", "error"): 4.0,
    }
    assert not served.of("ansflow_cache_hit_ratio")


def test_queries_are_timed_by_database_and_operation(served: Exposition) -> None:
    """Hosts and errors are added up; what has no name goes by its system, a file by its own name."""
    by = ("database", "operation")
    name = "ansflow_database_query_duration_seconds"
    counts = {
        ("shop", "SELECT"): 8.0,
        ("shop", "INSERT"): 4.0,
        ("fastapi.sqlite3", "SELECT"): 4.0,
        ("redis", "unknown"): 4.0,
        ("redis/1", "GET"): 4.0,
        ("unknown", "unknown"): 4.0,
    }
    assert served.sums(f"{name}_count", by) == counts
    assert served.sums(f"{name}_bucket", by, le="0.1") == counts
    assert served.sums(f"{name}_bucket", by, le="0.01") == dict.fromkeys(counts, 0.0)
    assert served.sums(f"{name}_sum", by) == pytest.approx(
        {key: 0.05 * count for key, count in counts.items()}
    )


def test_pool_connections_are_counted_by_database_for_each_worker(served: Exposition) -> None:
    """A database's pools are added up, those of different workers are not."""
    by = ("database", "state")
    for instance in ("0", "1"):
        found = served.sums(
            "ansflow_database_connections_active", by, job="ansflow/ansflow-fastapi", instance=instance
        )
        assert found == {
            ("shop", "used"): 4.0,
            ("shop", "idle"): 7.0,
            ("fastapi.sqlite3", "idle"): 1.0,
            ("warehouse", "idle"): 2.0,
            ("redis/1", "used"): 1.0,
            ("unknown", "unknown"): 1.0,
        }
    raw = served.sums(
        "db_client_connection_count", ("db_client_connection_pool_name",), db_client_connection_state="used"
    )
    assert raw == {("postgresql/shop",): 12.0, ("postgresql/shop#2",): 4.0, ("redis/1",): 4.0}


def test_calls_that_leave_the_platform_are_integrations(served: Exposition) -> None:
    """They go by domain and outcome; the platform's own calls, and those counted elsewhere, are left out."""
    by = ("integration_type", "status")
    for job, instance in (("ansflow-fastapi", "0"), ("ansflow-fastapi", "1"), ("ansflow-django", "0")):
        found = served.sums(
            "ansflow_integration_calls_total",
            by,
            job=f"ansflow/{job}",
            instance=instance,
            otel_scope_name="clients",
        )
        assert found == _CALL_COUNTS
    # The host's own labels are on the standard name, with every call.
    assert served.sums(
        "http_client_request_duration_seconds_count", (), instance="0", server_address="localhost"
    )


def test_integration_calls_of_the_business_api_stand_beside(served: Exposition) -> None:
    """The counter that has the published name already is left as it is."""
    found = served.sums(
        "ansflow_integration_calls_total", ("integration_type", "status"), otel_scope_name="business"
    )
    assert found == {("github", "success"): 12.0, ("github", "failed"): 4.0}


def test_integrations_are_named_by_their_hosts(tmp_path: Path) -> None:
    """ANSFLOW_INTEGRATIONS names hosts, also of the platform's own; one with an empty name is left out."""
    env = {
        "ANSFLOW_INTEGRATIONS": "127.0.0.1:8010=registry, api.github.com = github,hooks.slack.com=",
        "ANSFLOW_PLATFORM_HOSTS": "127[.]0[.]0[.]1|.*[.]example[.]com",
    }
    calls = [
        (call("127.0.0.1", 8010, 201), 3),
        (call("127.0.0.1", 8000, 200), 1),
        (call("api.github.com", 443, 200), 2),
        (call("github.com", 443, 200), 1),
        (call("hooks.slack.com", 443, 200), 1),
        (call("auth.example.com", 443, 200), 1),
        (call("localhost", 443, 200), 1),
    ]
    with run_collector(["signals-none", "published-names"], tmp_path, env) as own:
        with worker(own.endpoint, _resource("any", "0")) as sender:
            record_calls(sender, calls)
        served = own.scrape()
    assert served.sums("ansflow_integration_calls_total", ("integration_type", "status")) == {
        ("registry", "success"): 3.0,
        ("github", "success"): 2.0,
        ("github.com", "success"): 1.0,
        ("localhost", "success"): 1.0,
    }


@pytest.mark.parametrize("given", ["", "nonsense"])
def test_without_a_list_integrations_go_by_their_domains(tmp_path: Path, given: str) -> None:
    """A variable that is set to nothing, or to what is no list, loses no call."""
    with run_collector(["signals-none", "published-names"], tmp_path, {"ANSFLOW_INTEGRATIONS": given}) as own:
        with worker(own.endpoint, _resource("any", "0")) as sender:
            record_calls(sender, [(call("api.github.com", 443, 200), 2), (call("localhost", 443, 200), 1)])
        served = own.scrape()
    assert served.sums("ansflow_integration_calls_total", ("integration_type",)) == {("github.com",): 2.0}
    complaints = (tmp_path / "collector.log").read_text().count("failed to execute statement")
    assert (complaints > 0) == (given == "nonsense")


def _resource(service: str, slot: str) -> dict[str, str]:
    return {"service.name": service, "service.namespace": "ansflow", "service.instance.id": slot}
