"""Store, book and telemetry, and the export of what they tell."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from aiohttp import web
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader

from ansflow_gateway import __version__
from ansflow_gateway.config import Settings
from ansflow_gateway.errors import OverloadedError, StoreRefusedError, StoreUnavailableError
from ansflow_gateway.exporters.otlp import build_push_reader
from ansflow_gateway.exporters.prometheus import PrometheusPage
from ansflow_gateway.exporters.push import PushReader
from ansflow_gateway.exporters.resource import build_resource, build_shared_resource
from ansflow_gateway.exporters.spans import build_span_exporter
from ansflow_gateway.exporters.table_metrics import TableMetrics
from ansflow_gateway.folding.book import Book, BookOptions
from ansflow_gateway.lifetimes.keys import (
    BOOK,
    GATEWAY_METERS,
    INSTRUMENTS,
    PUSHING,
    RESOURCE,
    SCOPE,
    SPANS,
    SPOOL,
    STORE,
    Lifetime,
)
from ansflow_gateway.lifetimes.tasks import background
from ansflow_gateway.meters.gateway import GatewayMeters, Readings
from ansflow_gateway.meters.instruments import Instruments
from ansflow_gateway.otel_variables import DEFAULT
from ansflow_gateway.storage.opening import LeadingEventStore, open_store
from ansflow_gateway.storage.options import StoreOptions
from ansflow_gateway.storage.postgres_url import shared_name
from ansflow_gateway.storage.spool import Spool
from ansflow_gateway.web import metrics

_LOG: Final = logging.getLogger(__name__)

TICK_S: Final = 1.0
"""Time between two looks at what changes with time alone, in seconds."""


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
        async with background(
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
    told = resource
    if isinstance(settings.store, str):
        told = build_shared_resource(resource, shared_name(settings.store))
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
            reader.table = TableMetrics(book.table, told, SCOPE, book.began_at) if leads else None

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
        async with background(spans=exporter.run()):
            yield
        # What the last requests told; what can't be pushed now is pushed after the next start.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.flush_deadline):
                while await exporter.push():
                    pass
        exporter.close()

    return lifetime
