"""A gateway under test, services for it to probe, and events for it to take."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
from aiohttp import web
from ansflow_gateway import config
from ansflow_gateway.app import build_app
from ansflow_gateway.exporters.table_metrics import TableMetrics
from ansflow_gateway.lifetimes import BOOK, SCOPE
from ansflow_gateway.server import Front, listen
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

RUN_FINISHED = "dev.ansflow.pipeline.run.finished.v1"
USER_ACTIVITY = "dev.ansflow.user.activity.v1"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

Series = frozenset[tuple[str, Any]]
"""A series' attributes."""

_IDS = count(1)


def run_finished(**changes: object) -> dict[str, object]:
    """Make a valid event of the end of a run of its own; `changes` are members of its data."""
    data: dict[str, object] = {
        "run_id": f"r-{next(_IDS)}",  # a run's end counts once, whatever event tells it
        "pipeline": "build",
        "project": "shop",
        "result": "success",
        "duration_s": 12.5,
    }
    return _event(RUN_FINISHED, data | changes)


def user_activity(**changes: object) -> dict[str, object]:
    """Make a valid event of a user's activity; `changes` are members of its data."""
    return _event(USER_ACTIVITY, {"action": "login", "user_type": "admin"} | changes)


def _event(event_type: str, data: Mapping[str, object]) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"e-{next(_IDS)}",
        "source": "/tests",
        "type": event_type,
        "datacontenttype": "application/json",
        "data": dict(data),
    }


def series(**attributes: str) -> Series:
    """Make a series' attributes from keywords, with `__` for each dot."""
    return frozenset((name.replace("__", "."), value) for name, value in attributes.items())


async def eventually(check: Callable[[], None], within_s: float = 15.0) -> None:
    """Wait until a check no longer raises AssertionError; at the end, let its last error through."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        try:
            return check()
        except AssertionError:
            if loop.time() > deadline:
                raise
        await asyncio.sleep(0.02)


@dataclass
class Clock:
    """A wall clock that stands until it is moved."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the present time, in seconds since the epoch."""
        return self.now


@dataclass
class Gateway:
    """A running gateway and what a test needs of it."""

    app: web.Application
    url: str
    session: aiohttp.ClientSession
    reader: InMemoryMetricReader
    clock: Clock

    async def send(self, event: object, content_type: str = STRUCTURED) -> tuple[int, Any]:
        """Post a JSON value; give the status and the decoded answer."""
        headers = {"Content-Type": content_type}
        async with self.session.post(self.url + "/v1/events", json=event, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    def collect(self) -> dict[str, dict[Series, Any]]:
        """Collect all metrics: data points by instrument and attributes."""
        data = self.reader.get_metrics_data()
        table = TableMetrics(self.app[BOOK].table, Resource({}), SCOPE, self.clock()).all()
        both = [*(data.resource_metrics if data else ()), *([table] if table else ())]
        return {
            metric.name: {
                frozenset((point.attributes or {}).items()): point for point in metric.data.data_points
            }
            for resource in both
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def values(self, name: str) -> dict[Series, float]:
        """Collect one instrument's values by attributes; histograms count."""
        return {
            attributes: point.count if hasattr(point, "count") else point.value
            for attributes, point in self.collect().get(name, {}).items()
        }


async def run_gateway(
    stack: AsyncExitStack, environ: Mapping[str, str] | None = None, **flags: str
) -> Gateway:
    """Start a gateway that ends with the stack; it pushes nothing unless the environment says so."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ansflow-gateway-"))
    silent = {"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none"}
    settings = config.load(
        {"port": "0", "store": f"{folder}/gateway.sqlite3", **flags},
        environ if environ is not None else silent,
    )
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    reader = InMemoryMetricReader()
    clock = Clock()
    app = build_app(settings, port=port, readers=[reader], wall_clock=clock)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    front = Front(runner)
    await front.start(listener)
    stack.push_async_callback(front.finish, 1.0)
    session = await stack.enter_async_context(aiohttp.ClientSession())
    return Gateway(app, f"http://127.0.0.1:{port}", session, reader, clock)


StartGateway = Callable[..., Awaitable[Gateway]]
"""Starts a gateway: the environment, then flags as keywords."""


@dataclass
class Answer:
    """What a stand-in service answers to everything."""

    status: int = 200
    body: bytes = b'{"status": "pass"}'
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/health+json"})
    delay_s: float = 0.0


@dataclass
class Service:
    """A service on a real port that answers as it is told."""

    url: str
    answer: Answer
    asked: int = 0

    async def handle(self, _: web.Request) -> web.Response:
        """Answer a request."""
        self.asked += 1
        told = self.answer
        await asyncio.sleep(told.delay_s)
        return web.Response(status=told.status, body=told.body, headers=told.headers)


StartService = Callable[[Answer], Awaitable[Service]]
"""Starts a service."""
