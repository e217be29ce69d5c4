"""The health documents, over real HTTP: what a service's trouble means for whom."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from ansflow_gateway.domain.health import ServiceHealth
from ansflow_gateway.domain.watch import State, Watched
from ansflow_gateway.server import listen
from ansflow_gateway.web import health
from ansflow_gateway.web.health import Check, Status

WELL = Watched(ServiceHealth(up=True), State(True, 1.0), 1_800_000_000.0, 0.0125, {}, {})
SHAKY = Watched(
    ServiceHealth(up=False, problem="no answer"), State(True, 1.0, 1), 1_800_000_000.0, 5.0, {}, {}
)
DOWN = Watched(
    ServiceHealth(False, {"db": False, "mq": True}), State(False, 1.0), 1_800_000_000.0, 0.1, {}, {}
)
BACK = Watched(ServiceHealth(up=True), State(False, 1.0, 1), 1_800_000_000.0, 0.1, {}, {})

Get = Callable[[str], Coroutine[Any, Any, tuple[int, dict[str, Any]]]]


@asynccontextmanager
async def serving(own: Mapping[str, Check], services: Mapping[str, Watched | None]) -> AsyncIterator[Get]:
    """Serve the health endpoints; give a function that gets one."""
    app = web.Application()
    app[health.HEALTH] = health.HealthSource("gateway", "1", lambda: own, lambda: services)
    app.add_routes(health.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listener = listen("127.0.0.1", 0)
    try:
        await web.SockSite(runner, listener).start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as session:

            async def get(path: str) -> tuple[int, dict[str, Any]]:
                async with session.get(path) as response:
                    return response.status, await response.json(content_type="application/health+json")

            yield get
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("own", "services", "whole", "platform", "ready"),
    [
        (Status.PASS, {}, (200, "pass"), (200, "pass"), 200),
        (Status.PASS, {"api": WELL}, (200, "pass"), (200, "pass"), 200),
        (Status.PASS, {"api": WELL, "db": DOWN}, (200, "warn"), (503, "fail"), 200),
        (Status.PASS, {"api": SHAKY}, (200, "warn"), (200, "warn"), 200),
        (Status.PASS, {"api": BACK}, (200, "warn"), (503, "fail"), 200),
        (Status.PASS, {"api": None}, (200, "warn"), (200, "warn"), 200),
        (Status.WARN, {"api": WELL}, (200, "warn"), (200, "pass"), 200),
        (Status.FAIL, {"api": WELL}, (503, "fail"), (200, "pass"), 503),
        (Status.FAIL, {"api": DOWN}, (503, "fail"), (503, "fail"), 503),
    ],
)
async def test_a_services_trouble_is_the_platforms_not_the_gateways(
    own: Status,
    services: Mapping[str, Watched | None],
    whole: tuple[int, str],
    platform: tuple[int, str],
    ready: int,
) -> None:
    """A service that is down: /health/ warns with 200, readiness stays, /health/services is 503."""
    async with serving({"host:sampleAge": Check(own, "system")}, services) as get:
        status, document = await get("/health/")
        assert (status, document["status"]) == whole
        assert document["checks"].keys() == {"host:sampleAge", *(f"service:{name}" for name in services)}
        status, document = await get("/health/services")
        assert (status, document["status"]) == platform
        assert (await get("/health/ready"))[0] == ready
        assert (await get("/health/live"))[0] == 200


async def test_a_service_is_an_entry_with_its_latest_probe() -> None:
    """Latency in milliseconds, the probe's own time, and why it doesn't pass."""
    async with serving({}, {"a": WELL, "b": DOWN, "c": SHAKY, "d": BACK, "e": None}) as get:
        checks = (await get("/health/services"))[1]["checks"]
    assert checks["service:a"] == [
        {
            "componentType": "component",
            "observedValue": 12.5,
            "observedUnit": "ms",
            "status": "pass",
            "time": "2027-01-15T08:00:00.000Z",
        }
    ]
    told = {name: (entry["status"], entry.get("output")) for name, (entry,) in checks.items()}
    assert told["service:b"] == ("fail", "it says so: db")
    assert told["service:c"] == ("warn", "no answer")
    assert told["service:d"] == ("fail", "its latest probe passed")
    assert told["service:e"] == ("warn", "not probed yet")
