"""Django under real servers: every kind of route and response, by WSGI and ASGI, and Channels' WebSockets."""

import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.instrumented_service import Service, starting_services
from support.otlp_receiver import OtlpReceiver, attributes_of
from websockets.sync.client import connect

APPLICATIONS = Path(__file__).parents[1] / "applications"

AT_THE_END = {"OTEL_METRIC_EXPORT_INTERVAL": "600000", "OTEL_BSP_SCHEDULE_DELAY": "600000"}

SERVERS = {
    "wsgi": ("gunicorn", "django_kinds.wsgi", "--bind", "127.0.0.1:{port}", "--threads", "4"),
    "asgi": ("uvicorn", "django_kinds.asgi:application", "--port", "{port}"),
}

SENT = {
    "/": ("/", 200),
    "/plain/7": ("/plain/<int:number>", 200),
    "/broken": ("/broken", 500),
    "/stream": ("/stream", 200),
    "/file": ("/file", 200),
    "/where": ("/where", 200),
    "/stream-async": ("/stream-async", 200),
    "/api/orders/7/": ("/api/orders/<pk>/", 200),
    "/api/orders/7/lines.json": ("/api/orders/<pk>/lines/", 200),
    "/nowhere": ("", 404),
}
"""Paths, with the route and the status that must be recorded."""


class Run:
    """A finished run of all requests.

    Attributes:
        received: What was exported.
        threads: Threads that async views ran in.
    """

    def __init__(self, received: OtlpReceiver, threads: set[str]) -> None:
        self.received = received
        self.threads = threads

    def span(self, path: str) -> Span:
        """The SERVER span of a path that was asked for once."""
        (span,) = [
            span
            for span in self.received.spans()
            if span.kind == Span.SPAN_KIND_SERVER
            and attributes_of(list(span.attributes)).get("url.path") == path
        ]
        return span


@pytest.fixture(scope="module", params=SERVERS)
def interface(request: pytest.FixtureRequest) -> str:
    """The server's interface to the application."""
    return str(request.param)


@pytest.fixture(scope="module")
def run(interface: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One request of each kind, bad hosts, and two WebSockets of which one vanishes."""
    directory = tmp_path_factory.mktemp("run")
    with OtlpReceiver() as receiver, starting_services(receiver, APPLICATIONS, directory) as start:
        service = start(*SERVERS[interface], variables=AT_THE_END)
        for path, (_, status) in SENT.items():
            assert service.get(path).status == status
        threads = {service.get("/where").body for _ in range(20)}
        for _ in range(8):
            assert service.get("/plain/1", headers={"Host": "not.allowed.test"}).status == 400
        if interface == "asgi":
            _talk(service)
        service.stop(signal.SIGTERM)
        yield Run(receiver, threads)


def _talk(service: Service) -> None:
    url = service.url.replace("http", "ws") + "/rooms/blue/"
    with connect(url) as polite:
        for message in ("one", "two", "three"):
            polite.send(message)
            assert polite.recv() == message
    with connect(url) as rude:
        rude.send("four")
        assert rude.recv() == "four"
        rude.socket.shutdown(socket.SHUT_RDWR)  # no closing handshake: the client is gone


def test_every_request_is_counted_by_its_readable_route(run: Run) -> None:
    """Routes are from the root, and regular expressions (as DRF's routers make them) are readable."""
    counted: Counter[tuple[str, str]] = Counter()
    for duration in run.received.durations():
        attributes = duration.attributes
        route = attributes.get("http.route", "")
        counted[route, attributes["http.response.status_code"]] += duration.point.count
    expected: Counter[tuple[str, str]] = Counter({(route, str(status)): 1 for route, status in SENT.values()})
    expected["/where", "200"] += 20
    expected["/plain/<int:number>", "400"] += 8
    if ("", "400") in counted:  # middleware may refuse the host before the URL is resolved
        counted["/plain/<int:number>", "400"] += counted.pop(("", "400"))
    assert counted == expected


def test_finding_5_a_bad_host_is_counted(run: Run) -> None:
    """Eight requests with a Host that is not allowed are eight points of status 400, and eight spans."""
    statuses = Counter(
        attributes_of(list(span.attributes)).get("http.response.status_code") for span in run.received.spans()
    )
    assert statuses["400"] == 8


def test_contrib_4681_a_streamed_response_is_whole(run: Run, interface: str) -> None:
    """Its span ends after its last chunk, has its size, and is the parent of what made the chunks."""
    span = run.span("/stream")
    assert attributes_of(list(span.attributes))["http.response.body.size"] == "10"
    chunks = [child for child in run.received.spans() if child.name == "chunk"]
    assert {child.parent_span_id for child in chunks} == {span.span_id}
    assert all(child.end_time_unix_nano <= span.end_time_unix_nano for child in chunks)
    if interface == "asgi":
        assert attributes_of(list(run.span("/stream-async").attributes))["http.response.body.size"] == "10"
        took = run.span("/stream-async").end_time_unix_nano - run.span("/stream-async").start_time_unix_nano
        assert took >= 20e6


def test_async_views_stay_in_one_thread(run: Run, interface: str) -> None:
    """Over ASGI no request hops to a thread of its own: contrib's middleware makes each do so."""
    if interface == "asgi":
        assert len(run.threads) == 1


def test_an_exception_is_recorded_once(run: Run) -> None:
    """One event on the span, ERROR, and its class as error.type."""
    span = run.span("/broken")
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes_of(list(span.attributes))["error.type"] == "LookupError"


def test_channels_websockets_are_exact(run: Run, interface: str) -> None:
    """Two connections and four messages each way, none active: one client closed, one vanished."""
    if interface != "asgi":
        pytest.skip("WebSockets need ASGI")
    values: Counter[tuple[str, ...]] = Counter()
    for request in run.received.metrics:
        for group in request.resource_metrics:
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    if metric.name.startswith("ansflow.websocket.") and metric.HasField("sum"):
                        for point in metric.sum.data_points:
                            attributes = attributes_of(list(point.attributes))
                            assert attributes.pop("endpoint") == "/rooms/<slug:room>/"
                            name = metric.name.removeprefix("ansflow.websocket.")
                            values[name, *attributes.values()] = point.as_int
    if (
        "disconnections",
        "1005",
    ) in values:  # how uvicorn reports a client that is gone depends on its version
        values["disconnections", "1006"] += values.pop(("disconnections", "1005"))
    values.pop(("io", "sent"))
    values.pop(("io", "received"))
    assert values == {
        ("connections",): 2,
        ("disconnections", "1000"): 1,
        ("disconnections", "1006"): 1,
        ("messages", "sent"): 4,
        ("messages", "received"): 4,
        ("connections.active",): 0,
    }
    assert run.received.server_spans()["WS /rooms/<slug:room>/"] == 2


def test_a_stream_that_nobody_closes_is_counted(tmp_path: Path) -> None:
    """Middleware that passes chunks on without closing the response loses no request, and no gauge."""
    with OtlpReceiver() as receiver, starting_services(receiver, APPLICATIONS, tmp_path) as start:
        service = start(
            "gunicorn", "django_kinds.forgetful", "--bind", "127.0.0.1:{port}", variables=AT_THE_END
        )
        for _ in range(3):
            assert service.get("/stream").body == "1234512345"
        service.stop()
        assert receiver.requests_counted() == {"/stream": 3}
        assert receiver.server_spans() == {"GET /stream": 3}


def test_a_route_is_below_the_servers_prefix(tmp_path: Path) -> None:
    """Under SCRIPT_NAME the route is from the root, as the path is."""
    variables = {**AT_THE_END, "SCRIPT_NAME": "/below"}
    with OtlpReceiver() as receiver, starting_services(receiver, APPLICATIONS, tmp_path) as start:
        service = start("gunicorn", "django_kinds.wsgi", "--bind", "127.0.0.1:{port}", variables=variables)
        assert service.get("/below/plain/7").status == 200
        service.stop()
        assert receiver.requests_counted() == {"/below/plain/<int:number>": 1}
