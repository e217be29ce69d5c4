"""FastAPI and Starlette under uvicorn: the route of a request is its whole template, however it is routed."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.instrumented_service import Service, StartService, starting_services
from support.otlp_receiver import OtlpReceiver, attributes_of
from websockets.sync.client import connect

APPLICATIONS = Path(__file__).parents[1] / "applications"

AT_THE_END = {"OTEL_METRIC_EXPORT_INTERVAL": "600000", "OTEL_BSP_SCHEDULE_DELAY": "600000"}

ITEM = "/inner/items/{item_id}"

KINDS: dict[str, dict[str, str]] = {
    "app": {
        "/outer/blue/inner/items/1": "/outer/{tenant}" + ITEM,
        "/tenants/blue/v1/inner/items/1": "/tenants/{tenant}/v1" + ITEM,
        "/tenants/blue/nowhere": "/tenants/{tenant}/{path}",
        "/static/main.py": "/static/{path}",
        "/plain/x": "/plain/{name}",
        "/plain/deep/a/b": "/plain/deep/{path:path}",
        "/stream": "/stream",
        "/nowhere": "",
    },
    "copying": {"/outer/blue/inner/items/1": "/outer/{tenant}" + ITEM},
    "starlette": {
        "/things/x": "/things/{name}",
        "/app/outer/blue/inner/items/1": "/app/outer/{tenant}" + ITEM,
        "/app/tenants/blue/v1/inner/items/1": "/app/tenants/{tenant}/v1" + ITEM,
    },
    "twice": {"/tenants/blue/v1/inner/items/1": "/tenants/{tenant}/v1" + ITEM},
    "behind_proxy": {"/inner/items/1": "/proxied" + ITEM},
}
"""Paths by application, with the route that must be recorded."""

Collect = Callable[[str, Callable[[Service], None]], OtlpReceiver]


@pytest.fixture(params=["newest", "before-own-telemetry"])
def bin_dir(request: pytest.FixtureRequest) -> Path | None:
    """Scripts of the environment to run in; None for this one."""
    if request.param == "newest":
        return None
    scripts: Path = request.getfixturevalue("bin_before_native_telemetry")
    return scripts


@pytest.fixture
def collect(bin_dir: Path | None, tmp_path: Path) -> Collect:
    """Run an application, do something with it, and return what it exported."""

    def run(application: str, talk: Callable[[Service], None]) -> OtlpReceiver:
        with OtlpReceiver() as receiver, starting_services(receiver, APPLICATIONS, tmp_path) as start:
            start_service: StartService = start
            service = start_service(
                "uvicorn",
                f"fastapi_kinds.main:{application}",
                "--port",
                "{port}",
                variables=AT_THE_END,
                bin_dir=bin_dir,
            )
            talk(service)
            service.stop()
            return receiver

    return run


@pytest.mark.parametrize("application", KINDS)
def test_contrib_2891_the_route_is_the_whole_template(application: str, collect: Collect) -> None:
    """Through routers, mounts, parameters and copies: a span and a point a request, by the whole route."""
    expected = KINDS[application]

    def talk(service: Service) -> None:
        for path in expected:
            service.get(path)

    received = collect(application, talk)
    assert received.requests_counted() == Counter(expected.values())
    assert received.server_spans() == Counter(f"GET {route}".strip() for route in expected.values())
    sizes = {
        attributes["http.route"]: attributes["http.response.body.size"]
        for attributes in (attributes_of(list(span.attributes)) for span in received.spans())
        if "http.route" in attributes
    }
    if application == "app":
        assert sizes["/stream"] == "10"


def test_websockets_are_exact_wherever_they_are_routed(collect: Collect) -> None:
    """N connections and M messages are N and M by the whole route, also when the client vanishes."""

    def talk(service: Service) -> None:
        url = service.url.replace("http", "ws")
        for path in ("/outer/blue/inner/ws/7", "/tenants/blue/v1/inner/ws/7", "/plain/deep/ws"):
            for _ in range(3):
                with connect(url + path) as websocket:
                    for message in ("one", "two"):
                        websocket.send(message)
                        assert websocket.recv() == message

    received = collect("app", talk)
    endpoints = (
        "/outer/{tenant}/inner/ws/{room}",
        "/tenants/{tenant}/v1/inner/ws/{room}",
        "/plain/deep/ws",
    )
    assert received.server_spans() == {f"WS {endpoint}": 3 for endpoint in endpoints}
    counted = received.sums("ansflow.websocket.")
    for endpoint in endpoints:
        assert counted["ansflow.websocket.connections", endpoint] == 3
        assert counted["ansflow.websocket.disconnections", endpoint, "1000"] == 3
        assert counted["ansflow.websocket.messages", endpoint, "sent"] == 6
        assert counted["ansflow.websocket.messages", endpoint, "received"] == 6
        assert counted["ansflow.websocket.connections.active", endpoint] == 0
