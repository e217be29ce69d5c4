"""The status page under test: views to show, and a server that shows them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from aiohttp import web
from ansflow_gateway.server import listen
from ansflow_gateway.web import index
from ansflow_gateway.web.drain import DRAIN, Drain, counted
from ansflow_gateway.web.problem import problems
from ansflow_gateway.web.status.events import Live, LiveOptions
from ansflow_gateway.web.status.handlers import LIVE, PAGE, routes
from ansflow_gateway.web.status.page import PageInfo
from ansflow_gateway.web.status.source import (
    Availability,
    Delivery,
    Figure,
    Offender,
    Readings,
    Refusals,
    Refused,
    Run,
    Service,
    ServiceState,
    StatusView,
    Store,
    Trend,
    Unit,
)

NOW = 1_800_000_000.0
HOSTILE = "<script>alert(1)</script>\"'&\x00\u202e\ud800</td>"
"""Ends elements and attributes, hides, turns the writing round, and can't be encoded."""

EMPTY_VIEW = StatusView(Store("SQLite", 0))


def full_view() -> StatusView:
    """Make a view with something of everything, as a busy platform would have it."""
    return StatusView(
        store=Store(
            "SQLite", 3, None, (("Journal", "1,204,331 events"), ("Size", "312.4 MiB"), ("Put aside", "0"))
        ),
        readings=Readings(
            (
                Figure("cpu", "CPU", 0.372, Unit.RATIO, detail="4 processors", ceiling=1),
                Figure("memory", "Memory", 0.618, Unit.RATIO, detail="4.8 of 7.8 GiB", ceiling=1),
                Figure("disk", "Fullest filesystem", 0.471, Unit.RATIO, detail="/var/lib", ceiling=1),
                Figure("read", "Disk reads", 52e9, Unit.BYTES, Trend.RATE),
                Figure("written", "Disk writes", 210e9, Unit.BYTES, Trend.RATE),
                Figure("received", "Network in", 3.2e12, Unit.BYTES, Trend.RATE),
            ),
            (
                Figure("runs", "Runs ended", 18_231, Unit.COUNT, Trend.RATE),
                Figure("success", "Runs succeeded", 0.943, Unit.RATIO, ceiling=1),
                Figure("active", "Runs under way", 7, Unit.COUNT),
                Figure("projects", "Active projects", 112, Unit.COUNT),
                Figure("accepted", "Events taken in", 1_204_331, Unit.COUNT, Trend.RATE),
                Figure("duplicate", "Duplicates", 8_122, Unit.COUNT, Trend.RATE),
            ),
        ),
        services=(
            _service("django", True, (1.0, 0.99981, 0.99962)),
            _service("fastapi", False, (0.95, 0.9987, 0.9991)),
            Service("billing", ServiceState.UNKNOWN, availability=_windows((None, None, None))),
        ),
        runs=tuple(_run(number) for number in range(12)),
        deliveries=tuple(
            Delivery(project, environment, 30, 42 - number, 1.4, 5_400.0 * (1 + number), 0.07, 1_260.0)
            if number
            else Delivery(project, environment, 30, 118, 3.93, 2_820.0, None, None)
            for number, (project, environment) in enumerate(
                (
                    ("shop", "production"),
                    ("shop", "staging"),
                    ("billing", "production"),
                    ("search", "production"),
                )
            )
        ),
        refusals=Refusals(
            (("invalid_value", 41), ("invalid_signature", 9), ("unauthorized", 2)),
            tuple(
                Refused(
                    NOW - 60 * number,
                    "invalid_value",
                    "data.result",
                    "success, failure, error, timeout, cancellation or skip",
                    "'passed'",
                    "/v1/events",
                )
                for number in range(5)
            ),
        ),
        offenders=(
            Offender(
                "cicd.pipeline.run.duration",
                9_412,
                (
                    (("shop", "preview-8812", "pipeline", "executing", "success", ""), 31),
                    (("shop", "preview-8813", "pipeline", "executing", "success", ""), 30),
                ),
            ),
        ),
    )


def hostile_view() -> StatusView:
    """Make a view in which every foreign text is an attack."""
    run = Run(
        HOSTILE, HOSTILE, HOSTILE, float("inf"), 1e300, "javascript:alert(1)", HOSTILE, "data:text/html,x"
    )
    return StatusView(
        store=Store(HOSTILE, 0, HOSTILE, ((HOSTILE, HOSTILE),)),
        readings=Readings(business=(Figure(HOSTILE, HOSTILE, 1.0, Unit.COUNT, detail=HOSTILE),)),
        services=(
            Service(
                HOSTILE, ServiceState.DOWN, HOSTILE, ((HOSTILE, False),), (Availability(HOSTILE, 0.5, -9.0),)
            ),
        ),
        runs=(run, replace(run, url='http://x/"onmouseover="alert(1)', trace_id="b")),
        deliveries=(Delivery(HOSTILE, HOSTILE, 30, 1, 0.1, 1.0, 1.0, 1.0),),
        refusals=Refusals(((HOSTILE, 1),), (Refused(1e300, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),)),
        offenders=(Offender(HOSTILE, 1, (((HOSTILE, HOSTILE), 1),)),),
    )


@dataclass
class ToldSource:
    """A source that knows what it was told; it counts how often it is asked for everything."""

    shown: StatusView = EMPTY_VIEW
    asked: int = 0

    def readings(self) -> Readings:
        """Return the figures."""
        return self.shown.readings

    def view(self) -> StatusView:
        """Return everything."""
        self.asked += 1
        return self.shown


@dataclass
class StatusServer:
    """A server of the page."""

    url: str
    source: ToldSource
    live: Live
    runner: web.AppRunner
    site: web.SockSite
    stopped: bool = field(default=False)

    async def stop(self) -> None:
        """Stop as the gateway does: drain, then clean up."""
        if not self.stopped:
            self.stopped = True
            await self.site.stop()
            await self.runner.app[DRAIN].finish(5)
            await self.runner.cleanup()


@asynccontextmanager
async def serve_status(
    source: ToldSource, options: LiveOptions, port: int = 0
) -> AsyncIterator[StatusServer]:
    """Serve the page on a port of the loopback interface, by default a free one, until the block ends."""
    app = web.Application(middlewares=[counted, problems])
    app[index.VERSION] = "1.2.3"
    app[DRAIN] = Drain()
    live = Live(source, options)
    app[LIVE] = live
    app[PAGE] = PageInfo("1.2.3", "http://prometheus.example:9090", "https://grafana.example/")
    app.add_routes(routes())
    app[DRAIN].at_start(live.close)

    async def running(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(live.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(running)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    listener = listen("127.0.0.1", port)
    site = web.SockSite(runner, listener)
    await site.start()
    server = StatusServer(f"http://127.0.0.1:{listener.getsockname()[1]}", source, live, runner, site)
    try:
        yield server
    finally:
        await server.stop()


def _service(name: str, up: bool, shares: tuple[float | None, ...]) -> Service:
    return Service(
        name,
        ServiceState.UP if up else ServiceState.DOWN,
        None if up else "timed out after 5 s",
        (("database", True), ("cache", True), ("queue", up)),
        _windows(shares),
        NOW - 86_400 * 3,
    )


def _windows(shares: tuple[float | None, ...]) -> tuple[Availability, ...]:
    return tuple(
        Availability(window, share, None if share is None else 1 - (1 - share) / 0.0005)
        for window, share in zip(("1h", "24h", "30d"), shares, strict=True)
    )


def _run(number: int) -> Run:
    results = ("success", "success", "failure", "success", "timeout", "cancellation")
    trace_id = f"{0x9F86D081 * (number + 1) & 0xFFFFFFFF:08x}{number:024x}"
    return Run(
        ("shop", "billing", "search")[number % 3],
        ("build", "deploy", "nightly-regression-tests")[number % 3],
        results[number % len(results)],
        NOW - 97 * number,
        None if number == 4 else 12.4 * (number + 1) ** 2,
        f"https://ci.example/runs/{number}",
        trace_id,
        f"https://grafana.example/explore?trace={trace_id}",
    )
