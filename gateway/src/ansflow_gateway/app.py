"""The composition root: every part is made and wired here, and nowhere else."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader

from ansflow_gateway import __version__
from ansflow_gateway.config import Settings
from ansflow_gateway.domain.active_projects import ActiveProjects
from ansflow_gateway.domain.rejection import Reason
from ansflow_gateway.exporters.otlp import SteadyExporter, build_push_reader
from ansflow_gateway.exporters.prometheus import PrometheusPage
from ansflow_gateway.exporters.resource import build_resource
from ansflow_gateway.meters import system
from ansflow_gateway.meters.business import BusinessMeters
from ansflow_gateway.meters.events import EventMeters
from ansflow_gateway.meters.health import HealthMeters
from ansflow_gateway.meters.instruments import Instruments
from ansflow_gateway.prober.probe import ProbeResult, Target
from ansflow_gateway.prober.prober import HealthProber
from ansflow_gateway.receivers import events
from ansflow_gateway.sampling.host import HostReader
from ansflow_gateway.sampling.sampler import Sampler
from ansflow_gateway.storage.memory import MemoryEventStore
from ansflow_gateway.web import health, index, metrics
from ansflow_gateway.web.authorization import require_token
from ansflow_gateway.web.drain import DRAIN, Drain, counted
from ansflow_gateway.web.health import Check, Status
from ansflow_gateway.web.problem import problems

_LOG: Final = logging.getLogger(__name__)

SCOPE: Final = "ansflow_gateway"
"""Name of the instrumentation scope."""

INSTRUMENTS: Final = web.AppKey("instruments", Instruments)
SAMPLER: Final = web.AppKey("sampler", Sampler)
PUSHING: Final = web.AppKey("pushing", SteadyExporter)


def build_app(
    settings: Settings,
    *,
    port: int | None = None,
    readers: Sequence[MetricReader] = (),
    wall_clock: Callable[[], float] = time.time,
) -> web.Application:
    """Build the gateway.

    Its lifetimes begin when the application starts, in the order in which they are listed here, and end in
    the reverse order after the last request: telemetry, which is begun first, flushes last.

    Args:
        settings: The effective settings.
        port: The port that is really listened on, where the settings leave it to the system.
        readers: Metric readers besides the two of the settings.
        wall_clock: Present time in seconds since the epoch.

    Returns:
        The application, to be run by an `aiohttp.web.AppRunner` with `auto_decompress=False`.
    """
    middlewares: list[Middleware] = [counted, problems]
    if settings.token:
        middlewares.append(require_token(settings.token, _rejected))
    app = web.Application(client_max_size=events.MAX_BODY_BYTES, middlewares=middlewares)
    app[index.VERSION] = __version__
    app[DRAIN] = Drain()
    app[health.HEALTH] = health.HealthSource(
        settings.telemetry.service_name, __version__, lambda: _checks(app, settings)
    )
    app.add_routes(
        [
            web.get("/", index.get_index),
            web.get("/metrics", metrics.get_metrics),
            web.post(events.PATH, events.post_events),
            *health.routes(),
        ]
    )
    app.cleanup_ctx.extend(
        [
            _telemetry(settings, port if port is not None else settings.port, readers),
            _sampling(settings),
            _events(settings, wall_clock),
            _probing(settings),
        ]
    )
    return app


Lifetime = Callable[[web.Application], AsyncIterator[None]]


def _telemetry(settings: Settings, port: int, readers: Sequence[MetricReader]) -> Lifetime:
    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        page = PrometheusPage()
        pushed: list[MetricReader] = []
        if settings.telemetry.endpoint:
            reader, app[PUSHING] = build_push_reader(
                settings.telemetry.endpoint, settings.telemetry.interval_s
            )
            pushed.append(reader)
        provider = MeterProvider(
            # Readers are shut down in order on one deadline, which the last push may use up.
            metric_readers=[page.reader, *readers, *pushed],
            resource=build_resource(
                settings.telemetry.resource,
                settings.telemetry.service_name,
                __version__,
                socket.gethostname(),
                port,
            ),
            shutdown_on_exit=False,
        )
        app[INSTRUMENTS] = Instruments(provider.get_meter(SCOPE, __version__))
        rendering = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ansflow-scrape")
        app[metrics.RENDERER], app[metrics.RENDERING] = page, rendering
        yield
        rendering.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(_shut_down, provider, settings.flush_deadline)
        if PUSHING in app and ((state := app[PUSHING].state).failures or state.under_way):
            _LOG.warning("the last metrics weren't pushed", extra={"problem": state.problem})

    return lifetime


def _shut_down(provider: MeterProvider, deadline_s: float) -> None:
    try:
        provider.shutdown(timeout_millis=deadline_s * 1000)
    except Exception as error:  # noqa: BLE001 - the SDK raises bare Exception; a lost last push must not fail the stop
        _LOG.warning("telemetry didn't shut down cleanly", extra={"error": str(error)})


def _sampling(settings: Settings) -> Lifetime:
    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        sampler = Sampler(HostReader(), settings.sample_interval)
        app[SAMPLER] = sampler
        system.register(app[INSTRUMENTS], lambda: sampler.snapshot)
        sampler.start()
        yield
        await asyncio.to_thread(sampler.stop)

    return lifetime


def _events(settings: Settings, wall_clock: Callable[[], float]) -> Lifetime:
    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        projects = ActiveProjects(settings.active_window, wall_clock)
        meters = BusinessMeters(app[INSTRUMENTS], projects, settings.series_limit)
        store = MemoryEventStore(meters.fold, settings.dedup_window)
        app[events.STORE] = store
        app[events.TALLY] = EventMeters(app[INSTRUMENTS])
        expiring = asyncio.create_task(_expire(projects), name="active projects")
        yield
        await _cancelled(expiring)
        await store.close()

    return lifetime


async def _expire(projects: ActiveProjects) -> None:
    while True:
        projects.expire()
        await asyncio.sleep(1)


def _probing(settings: Settings) -> Lifetime:
    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        def on_probe(result: ProbeResult) -> None:
            meters.probed(result.target.service, result.duration_s)

        targets = [Target(service, url) for service, url in settings.services.items()]
        prober = HealthProber(targets, settings.probe_interval, settings.probe_deadline, on_probe)
        meters = HealthMeters(app[INSTRUMENTS], lambda: prober.health)
        probing = asyncio.create_task(prober.run(), name="prober")
        probing.add_done_callback(_report)
        yield
        await _cancelled(probing)

    return lifetime


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _LOG.critical("a background task failed", exc_info=error, extra={"task": task.get_name()})


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _rejected(request: web.Request, reason: Reason) -> None:
    request.app[events.TALLY].rejected(reason)


def _checks(app: web.Application, settings: Settings) -> dict[str, Check]:
    snapshot = app[SAMPLER].snapshot
    if snapshot:
        age = round(time.monotonic() - snapshot.taken_at, 3)
        checks = {"host:sampleAge": Check(Status.PASS, "system", age, "s")}
    else:
        checks = {"host:sampleAge": Check(Status.FAIL, "system", output="no present sample of the host")}
    if settings.telemetry.endpoint:
        state = app[PUSHING].state
        checks["otlp:failedPushes"] = Check(
            Status.WARN if state.failures else Status.PASS,
            "component",
            state.failures,
            "1",
            state.problem or "",
            needed=False,
        )
    return checks
