"""FastAPI under uvicorn, without and with telemetry of its own: each request has exactly one owner."""

import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.instrumented_service import Service, StartService, starting_services
from support.otlp_receiver import OtlpReceiver, attributes_of
from websockets.sync.client import connect

APPLICATIONS = Path(__file__).parent / "applications"

ONLY_AT_THE_END: dict[str, str] = {
    "OTEL_METRIC_EXPORT_INTERVAL": "600000",
    "OTEL_BSP_SCHEDULE_DELAY": "600000",
}
"""Nothing is exported before the server stops: what arrives was flushed at SIGTERM."""

SENT = {"/items/7": 40, "/mounted/things/1": 6, "/broken": 3, "/nowhere": 2}
"""Requests by path; each of these is recorded."""

LOOK_ALIKES = ("/healthcare", "/metrics-guide", "/clinic/health")
OPERATIONAL = ("/health", "/health/live", "/metrics")

ROUTES = {
    "/items/{item_id}": 40,
    "/mounted/things/{thing_id}": 6,
    "/broken": 3,
    "": 2,
    "/healthcare": 1,
    "/metrics-guide": 1,
    "/clinic/health": 1,
}
"""What must have been recorded, by route."""


@dataclass(frozen=True)
class Run:
    """A finished run of the application."""

    received: OtlpReceiver
    output: str


@pytest.fixture(scope="module", params=["own-telemetry", "before-own-telemetry"])
def fastapi_bin(request: pytest.FixtureRequest) -> Path | None:
    """Scripts of the environment to run in; None for this one."""
    if request.param == "own-telemetry":
        pytest.importorskip("fastapi.telemetry", exc_type=ImportError)
        return None
    scripts: Path = request.getfixturevalue("bin_before_native_telemetry")
    return scripts


@pytest.fixture(scope="module")
def run(fastapi_bin: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run: known requests, one WebSocket session, SIGTERM."""
    directory = tmp_path_factory.mktemp("run")
    with OtlpReceiver() as receiver, starting_services(receiver, APPLICATIONS, directory) as start:
        service = start(
            "uvicorn",
            "fastapi_shop.main:app",
            "--port",
            "{port}",
            variables=ONLY_AT_THE_END,
            bin_dir=fastapi_bin,
        )
        for path, times in SENT.items():
            service.get_many(path, times)
        for path in (*LOOK_ALIKES, *OPERATIONAL):
            assert service.get(path).status == 200
        _talk_over_websocket(service)
        return Run(receiver, service.stop(signal.SIGTERM))


def _talk_over_websocket(service: Service) -> None:
    with connect(service.url.replace("http", "ws") + "/ws") as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"


def test_every_request_is_one_duration_point(run: Run) -> None:
    """N requests of a route are counted N times: also in a mounted application, failing, or of no route."""
    assert run.received.requests_counted() == ROUTES


def test_every_request_is_one_server_span(run: Run) -> None:
    """N requests are N SERVER spans, and the WebSocket session is one; health and metrics paths have none."""
    expected = Counter({f"GET {route}".strip(): times for route, times in ROUTES.items()})
    assert run.received.server_spans() == expected + Counter({"WS /ws": 1})


def test_there_is_no_other_span(run: Run) -> None:
    """No span for a message received or sent, a second owner's, or one of the exporter's own requests."""
    assert {span.kind for span in run.received.spans()} == {Span.SPAN_KIND_SERVER}


def test_a_failing_request_says_why(run: Run) -> None:
    """An unhandled exception is status 500, with error.type, on the duration point."""
    (broken,) = [d for d in run.received.durations() if d.attributes.get("http.route") == "/broken"]
    assert broken.attributes["http.response.status_code"] == "500"
    assert broken.attributes["error.type"] == "RuntimeError"


def test_names_are_the_stable_ones(run: Run) -> None:
    """No metric or attribute of the semantic conventions before HTTP became stable."""
    assert {name for name in run.received.metric_names() if name.startswith("http.")} == {
        "http.server.request.duration",
        "http.server.active_requests",
        "http.server.response.body.size",
    }
    duration_attributes = {name for d in run.received.durations() for name in d.attributes}
    assert duration_attributes == {
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "network.protocol.version",
        "url.scheme",
        "error.type",
    }
    span_attributes = {name for span in run.received.spans() for name in attributes_of(list(span.attributes))}
    old_names = {"http.method", "http.target", "http.url", "http.status_code", "http.scheme", "net.host.port"}
    assert not span_attributes & old_names
    assert "http.request.method" in span_attributes


def test_buckets_are_the_conventions(run: Run) -> None:
    """The duration's bucket boundaries are those that the semantic conventions advise."""
    assert [list(d.point.explicit_bounds) for d in run.received.durations()] == [
        [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    ] * len(ROUTES)


def test_exemplars_lead_to_the_traces(run: Run) -> None:
    """Each exemplar of the duration names a SERVER span that was exported."""
    spans = {(span.trace_id, span.span_id) for span in run.received.spans()}
    points: list[HistogramDataPoint] = [d.point for d in run.received.durations()]
    exemplars = [(exemplar.trace_id, exemplar.span_id) for point in points for exemplar in point.exemplars]
    assert len(exemplars) >= len(ROUTES)
    assert set(exemplars) <= spans


def test_logs_carry_the_span_they_were_written_in(run: Run) -> None:
    """A record logged by a request handler is exported once, with the trace and span id of its request."""
    spans = {(span.trace_id, span.span_id): span.name for span in run.received.spans()}
    names = Counter(
        spans[record.trace_id, record.span_id]
        for record in run.received.log_records()
        if record.body.string_value == "item 7 was asked for"
    )
    assert names == {"GET /items/{item_id}": 40}


def test_sql_echo_stays_out_of_the_logs(run: Run) -> None:
    """What SQLAlchemy echoes is not exported."""
    assert not [r for r in run.received.log_records() if r.body.string_value.startswith("SELECT")]


def test_the_resource_names_service_and_distro(run: Run) -> None:
    """All signals of the one process share one identity, which names the distro."""
    resources = run.received.resources()
    assert {r["service.name"] for r in resources} == {"shop"}
    assert {r["telemetry.distro.name"] for r in resources} == {"ansflow-instrumentation"}
    assert len(run.received.instances()) == 1
    assert (bool(run.received.traces), bool(run.received.metrics), bool(run.received.logs)) == (True,) * 3


def test_starting_is_silent(run: Run) -> None:
    """The distro starts without a warning of its own, or a deprecation."""
    assert "failed" not in run.output
    assert "DeprecationWarning" not in run.output


def test_an_application_imported_by_another_path_is_recorded(
    fastapi_bin: Path | None, start: StartService, receiver: OtlpReceiver
) -> None:
    """`from fastapi.applications import FastAPI` is recorded once as well, with the exclusions."""
    service = start(
        "uvicorn",
        "fastapi_shop.main:direct",
        "--port",
        "{port}",
        variables=ONLY_AT_THE_END,
        bin_dir=fastapi_bin,
    )
    service.get_many("/items/1", 10)
    service.get("/health")
    service.stop()
    assert receiver.requests_counted() == {"/items/{item_id}": 10}
    assert receiver.server_spans() == {"GET /items/{item_id}": 10}


def test_an_incoming_trace_goes_on(
    fastapi_bin: Path | None, start: StartService, receiver: OtlpReceiver
) -> None:
    """A request with a `traceparent` continues that trace; without, the command line is no parent of it."""
    service = start(
        "uvicorn", "fastapi_shop.main:app", "--port", "{port}", variables=ONLY_AT_THE_END, bin_dir=fastapi_bin
    )
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    service.get("/items/1", headers={"traceparent": f"00-{trace}-{parent}-01"})
    service.get("/items/1")
    service.stop()
    traced, fresh = sorted(receiver.spans(), key=lambda span: not span.parent_span_id)
    assert (traced.trace_id.hex(), traced.parent_span_id.hex()) == (trace, parent)
    assert fresh.parent_span_id == b""
    assert fresh.trace_id != traced.trace_id


def test_the_stock_instrumentation_can_be_brought_back(start: StartService, receiver: OtlpReceiver) -> None:
    """By a variable requests are recorded by contrib's, once, and by nobody else."""
    variables = {**ONLY_AT_THE_END, "ANSFLOW_HTTP_INSTRUMENTATION": "contrib"}
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}", variables=variables)
    service.get_many("/items/1", 5)
    service.get_many("/mounted/things/1", 3)
    service.stop()
    scopes = {
        scope.scope.name
        for request in receiver.traces
        for group in request.resource_spans
        for scope in group.scope_spans
    }
    assert scopes == {"opentelemetry.instrumentation.fastapi"}
    assert receiver.requests_counted() == {"/items/{item_id}": 5, "/mounted": 3}


def test_a_misspelt_choice_is_one_warning(start: StartService, receiver: OtlpReceiver) -> None:
    """A value that is neither `fast` nor `contrib` is named, and requests are recorded all the same."""
    variables = {**ONLY_AT_THE_END, "ANSFLOW_HTTP_INSTRUMENTATION": "quick"}
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}", variables=variables)
    service.get("/items/1")
    assert service.stop().count("ANSFLOW_HTTP_INSTRUMENTATION='quick' is neither") == 1
    assert receiver.requests_counted() == {"/items/{item_id}": 1}
