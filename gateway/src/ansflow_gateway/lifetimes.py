"""What lives as long as the application: begun in order at its start, ended in reverse at its end."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from ansflow_gateway import __version__
from ansflow_gateway.config import Settings
from ansflow_gateway.domain.availability import Availability
from ansflow_gateway.domain.watch import Watched
from ansflow_gateway.errors import OverloadedError, StoreRefusedError, StoreUnavailableError
from ansflow_gateway.exporters.otlp import SteadyExporter, build_push_reader
from ansflow_gateway.exporters.prometheus import PrometheusPage
from ansflow_gateway.exporters.push import PushReader
from ansflow_gateway.exporters.resource import build_resource
from ansflow_gateway.exporters.spans import RunSpanExporter, build_span_exporter
from ansflow_gateway.exporters.table_metrics import TableMetrics
from ansflow_gateway.folding.book import Book, BookOptions
from ansflow_gateway.meters import system
from ansflow_gateway.meters.events import EventMeters
from ansflow_gateway.meters.gateway import GatewayMeters, Readings
from ansflow_gateway.meters.health import HealthMeters
from ansflow_gateway.meters.instruments import Instruments
from ansflow_gateway.otel_variables import DEFAULT
from ansflow_gateway.prober.probe import ProbeResult, Target
from ansflow_gateway.prober.prober import HealthProber
from ansflow_gateway.receivers import events
from ansflow_gateway.receivers.webhooks.hooks import build_verifiers
from ansflow_gateway.receivers.webhooks.receiver import WEBHOOKS, WebhookReceiver
from ansflow_gateway.sampling.host import HostReader
from ansflow_gateway.sampling.sampler import Sampler
from ansflow_gateway.status_view import GatewayStatus, Parts
from ansflow_gateway.storage.opening import LeadingEventStore, open_store
from ansflow_gateway.storage.options import StoreOptions
from ansflow_gateway.storage.spool import Spool
from ansflow_gateway.web import metrics
from ansflow_gateway.web.drain import DRAIN
from ansflow_gateway.web.secrets import SecretSetting, signing_key
from ansflow_gateway.web.status.events import Live
from ansflow_gateway.web.status.handlers import LIVE
from ansflow_gateway.web.status.rejections import RecentRejections

_LOG: Final = logging.getLogger(__name__)

SCOPE: Final = InstrumentationScope("ansflow_gateway", __version__)
"""The instrumentation scope of all that the gateway tells."""

KEEP_S: Final = 60.0
"""Time between two saves of the services' availability, in seconds."""

AVAILABILITY: Final = "availability/"
"""What the names begin with under which it is kept."""

TICK_S: Final = 1.0
"""Time between two looks at what changes with time alone, in seconds."""

BOOK: Final = web.AppKey("book", Book)
STORE: Final = web.AppKey("leading_store", LeadingEventStore)
SPOOL: Final = web.AppKey("spool", Spool)
INSTRUMENTS: Final = web.AppKey("instruments", Instruments)
SAMPLER: Final = web.AppKey("sampler", Sampler)
PROBER: Final = web.AppKey("prober", HealthProber)
PUSHING: Final = web.AppKey("pushing", SteadyExporter)
SPANS: Final = web.AppKey("spans", RunSpanExporter)
GATEWAY_METERS: Final = web.AppKey("gateway_meters", GatewayMeters)
REJECTIONS: Final = web.AppKey("rejections", RecentRejections)
TALLY: Final = web.AppKey("tally", EventMeters)
RESOURCE: Final = web.AppKey("resource", Resource)

Lifetime = Callable[[web.Application], AsyncIterator[None]]


def recording(
    settings: Settings, port: int, readers: Sequence[MetricReader], wall_clock: Callable[[], float]
) -> Lifetime:
    """Make the lifetime of store, book and telemetry.

    They are one: what the store commits at its end is still to be pushed, and what is pushed goes on from
    what the store holds.

    Args:
        settings: The effective settings.
        port: The port that is listened on.
        readers: Metric readers besides the two of the settings.
        wall_clock: Present time in seconds since the epoch.

    Raises:
        StoreRefusedError: When it begins: the store or the spool must not be used.
    """

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        _make_state_directory(settings)
        book = app[BOOK] = Book(_book_options(settings), wall_clock)
        store = app[STORE] = open_store(str(settings.store), book, _store_options(app, settings, wall_clock))
        await store.open()
        spool = app[SPOOL] = Spool(settings.spool, settings.spool_quota)
        try:
            spool.open()
        except BaseException:
            await store.close()
            raise
        provider, show = _build_provider(app, settings, port, readers)
        meters = app[GATEWAY_METERS] = GatewayMeters(app[INSTRUMENTS], _readings(store, spool, settings))
        if PUSHING in app:
            meters.pushing("metrics", lambda: app[PUSHING].failed)
        show(store.leads)
        rendering = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ansflow-scrape")
        app[metrics.RENDERING] = rendering
        async with _background(
            ticking=_tick(book, store, show), spool=spool.run(store), lag=meters.watch_loop()
        ):
            yield
        await store.close()
        spool.close()
        rendering.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(_shut_down, provider, settings.flush_deadline)
        if PUSHING in app and ((state := app[PUSHING].state).failures or state.under_way):
            _LOG.warning("the last metrics weren't pushed", extra={"problem": state.problem})

    return lifetime


def _readings(store: LeadingEventStore, spool: Spool, settings: Settings) -> Readings:
    return Readings(
        available=lambda: store.problem is None,
        leads=lambda: store.leads,
        waiting=lambda: store.waiting,
        spooled=lambda: spool.pending,
        spooled_bytes=lambda: spool.pending_bytes,
        spool_quota=settings.spool_quota,
    )


def _make_state_directory(settings: Settings) -> None:
    """Make the default store's directory; one that the user names is to be there, as it may be mistyped."""
    if isinstance(settings.store, Path) and settings.origins["store"] == DEFAULT:
        try:
            settings.store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreRefusedError(
                f"the directory {settings.store.parent} can't be made: {error.strerror}; "
                "--store names another"
            ) from error


def _book_options(settings: Settings) -> BookOptions:
    return BookOptions(
        series_limit=settings.series_limit,
        run_deadline=settings.run_deadline,
        start_deadline=settings.start_deadline,
        active_window=settings.active_window,
        gauge_ttl=settings.gauge_ttl,
        traced=settings.telemetry.traces_endpoint is not None,
    )


def _store_options(app: web.Application, settings: Settings, wall_clock: Callable[[], float]) -> StoreOptions:
    return StoreOptions(
        max_waiting=settings.queue_limit,
        retention_s=settings.retention,
        max_events=settings.dedup_window,
        clock=wall_clock,
        committed=lambda waited_s: app[GATEWAY_METERS].committed(waited_s),
    )


def _build_provider(
    app: web.Application, settings: Settings, port: int, readers: Sequence[MetricReader]
) -> tuple[MeterProvider, Callable[[bool], None]]:
    """Build the meter provider, and what shows or hides the table: who doesn't lead has an old one."""
    telemetry, book = settings.telemetry, app[BOOK]
    resource = app[RESOURCE] = build_resource(
        telemetry.resource, telemetry.service_name, __version__, socket.gethostname(), port
    )
    page = app[metrics.RENDERER] = PrometheusPage()
    pushed: list[PushReader] = []
    if telemetry.endpoint:
        reader, app[PUSHING] = build_push_reader(
            telemetry.endpoint, telemetry.interval_s, delay_s=settings.push_delay
        )
        book.noticed = reader.notice
        pushed.append(reader)

    def show(leads: bool) -> None:
        page.table = book.table if leads else None
        for reader in pushed:
            reader.table = TableMetrics(book.table, resource, SCOPE, book.began_at) if leads else None

    provider = MeterProvider(
        # Readers are shut down in order on one deadline, which the last push may use up.
        metric_readers=[page.reader, *readers, *pushed],
        resource=resource,
        shutdown_on_exit=False,
    )
    app[INSTRUMENTS] = Instruments(provider.get_meter(SCOPE.name, SCOPE.version))
    return provider, show


def _shut_down(provider: MeterProvider, deadline_s: float) -> None:
    try:
        provider.shutdown(timeout_millis=deadline_s * 1000)
    except Exception as error:  # noqa: BLE001 - the SDK raises bare Exception; that must not fail the stop
        _LOG.warning("telemetry didn't shut down cleanly", extra={"error": str(error)})


def receiving(settings: Settings, wall_clock: Callable[[], float]) -> Lifetime:
    """Make the lifetime of what events come in by."""

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        tally = app[TALLY] = EventMeters(app[INSTRUMENTS], app[REJECTIONS].note)
        app[events.RECEIVER] = events.EventReceiver(app[STORE], tally)
        signing = settings.gitlab_signing_secret
        app[WEBHOOKS] = WebhookReceiver(
            app[STORE],
            app[SPOOL],
            tally,
            build_verifiers(
                github_secrets=_source(settings.github_secret),
                gitlab_tokens=_source(settings.gitlab_token),
                gitlab_signing_keys=signing.source(signing_key) if signing else None,
                jenkins_tokens=_source(settings.jenkins_token),
                wall_clock=wall_clock,
            ),
        )
        yield

    return lifetime


def _source(setting: SecretSetting | None) -> Callable[[], Sequence[bytes]] | None:
    return setting.source() if setting else None


async def _tick(book: Book, store: LeadingEventStore, show: Callable[[bool], None]) -> None:
    led = store.leads
    while True:
        if store.leads is not led:
            led = not led
            show(led)
        if led:
            await asyncio.to_thread(book.tick)
            if given_up := await asyncio.to_thread(book.overdue):
                try:
                    await store.apply(given_up)
                except (OverloadedError, StoreUnavailableError):
                    book.again(given_up)
        await asyncio.sleep(TICK_S)


def tracing(settings: Settings) -> Lifetime:
    """Make the lifetime of the export of runs' spans."""

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        endpoint = settings.telemetry.traces_endpoint
        if endpoint is None:
            yield
            return
        exporter = app[SPANS] = build_span_exporter(endpoint, app[BOOK], app[RESOURCE], SCOPE)
        app[GATEWAY_METERS].pushing("traces", lambda: exporter.failed)
        async with _background(spans=exporter.run()):
            yield
        # What the last requests told; what can't be pushed now is pushed after the next start.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.flush_deadline):
                while await exporter.push():
                    pass
        exporter.close()

    return lifetime


def sampling(settings: Settings) -> Lifetime:
    """Make the lifetime of the host's sampler."""

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        sampler = app[SAMPLER] = Sampler(HostReader(), settings.sample_interval)
        system.register(app[INSTRUMENTS], lambda: sampler.snapshot)
        sampler.start()
        yield
        await asyncio.to_thread(sampler.stop)

    return lifetime


def probing(settings: Settings, wall_clock: Callable[[], float]) -> Lifetime:
    """Make the lifetime of the health prober; what it knows of the services' availability outlives it."""

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        def on_probe(result: ProbeResult) -> None:
            meters.probed(result.target.service, result.duration_s)

        book = app[BOOK]
        prober = app[PROBER] = HealthProber(
            [Target(service, url) for service, url in settings.services.items()],
            settings.probe_interval,
            settings.probe_deadline,
            on_probe,
            clock=wall_clock,
            availability=_kept_availability(book, settings.services),
        )
        meters = HealthMeters(app[INSTRUMENTS], lambda: prober.health, settings.availability_objective)
        async with _background(prober=prober.run(), keeping=_keep_availability(book, prober)):
            yield
        _keep(book, prober)

    return lifetime


def _kept_availability(book: Book, services: Iterable[str]) -> dict[str, Availability]:
    kept: dict[str, Availability] = {}
    for service in services:
        if data := book.kept(AVAILABILITY + service):
            try:
                kept[service] = Availability.from_bytes(data)
            except ValueError as error:
                _LOG.warning("availability begins anew", extra={"service": service, "error": str(error)})
    return kept


async def _keep_availability(book: Book, prober: HealthProber) -> None:
    while True:
        await asyncio.sleep(KEEP_S)
        _keep(book, prober)


def _keep(book: Book, prober: HealthProber) -> None:
    for service, availability in prober.availability.items():
        book.keep(AVAILABILITY + service, availability.to_bytes())


def showing(settings: Settings) -> Lifetime:
    """Make the lifetime of the status page."""

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        spool = app[SPOOL]
        parts = Parts(
            book=app[BOOK],
            store=app[STORE],
            store_kind="SQLite" if isinstance(settings.store, Path) else "PostgreSQL",
            store_facts=lambda: (("Put aside", f"{spool.pending:,}"),),
            services=lambda: known_services(app, settings),
            snapshot=lambda: app[SAMPLER].snapshot,
            counted=lambda: app[TALLY].counted,
            rejections=app[REJECTIONS],
            trace_url=settings.trace_url,
            objective=settings.availability_objective,
        )
        live = app[LIVE] = Live(GatewayStatus(parts))
        app[DRAIN].at_start(live.close)
        async with _background(status=live.run()):
            yield
        live.close()

    return lifetime


def known_services(app: web.Application, settings: Settings) -> Mapping[str, Watched | None]:
    """Return what is known of every service that is watched; None before its first probe."""
    health = app[PROBER].health
    return {name: health.get(name) for name in settings.services}


@contextlib.asynccontextmanager
async def _background(**running: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines as tasks by name, and cancel them in the end."""
    tasks = [asyncio.create_task(each, name=name) for name, each in running.items()]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _LOG.critical("a background task failed", exc_info=error, extra={"task": task.get_name()})
