"""The composition root: the application, of its routes and of what lives as long as it does."""

import time
from collections.abc import Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry.sdk.metrics.export import MetricReader

from ansflow_gateway import __version__, lifetimes
from ansflow_gateway.config import Settings
from ansflow_gateway.domain.rejection import Rejection
from ansflow_gateway.exporters.outage import PushState
from ansflow_gateway.receivers import events
from ansflow_gateway.receivers.webhooks import receiver as webhooks
from ansflow_gateway.web import health, index, metrics, openapi, schemas, tokens
from ansflow_gateway.web.authorization import SENDERS, Senders, require_token
from ansflow_gateway.web.drain import DRAIN, Drain, counted
from ansflow_gateway.web.expectation import expecting
from ansflow_gateway.web.health import Check, Status
from ansflow_gateway.web.problem import problems
from ansflow_gateway.web.status import handlers as status
from ansflow_gateway.web.status.page import PageInfo
from ansflow_gateway.web.status.rejections import RecentRejections


def build_app(
    settings: Settings,
    *,
    port: int | None = None,
    readers: Sequence[MetricReader] = (),
    wall_clock: Callable[[], float] = time.time,
) -> web.Application:
    """Build the gateway.

    Its lifetimes begin when the application starts, in the order in which they are listed here, and end in
    the reverse order after the last request: the store commits what waits and telemetry, which is begun
    first, flushes last.

    Args:
        settings: The effective settings.
        port: The port that is really listened on, where the settings leave it to the system.
        readers: Metric readers besides the two of the settings.
        wall_clock: Present time in seconds since the epoch.

    Returns:
        The application, to be run by an `aiohttp.web.AppRunner` with `auto_decompress=False`. Its start
        raises `StoreRefusedError` where the store must not be used.
    """
    middlewares: list[Middleware] = [counted, problems]
    valid = tokens.source(settings.token, settings.tokens_file)
    if valid:
        middlewares.append(require_token(valid, _rejected))
    app = web.Application(
        client_max_size=max(events.MAX_BODY_BYTES, webhooks.MAX_BODY_BYTES), middlewares=middlewares
    )
    app[SENDERS] = Senders(valid)
    app[index.VERSION] = __version__
    app[DRAIN] = Drain()
    app[lifetimes.REJECTIONS] = RecentRejections(wall_clock)
    app[status.PAGE] = PageInfo(__version__, settings.prometheus_url, settings.grafana_url)
    app[health.HEALTH] = health.HealthSource(
        settings.telemetry.service_name,
        __version__,
        lambda: _checks(app),
        lambda: lifetimes.known_services(app, settings),
    )
    app.add_routes(
        expecting(
            [
                web.post(events.PATH, events.post_events),
                web.get("/metrics", metrics.get_metrics),
                *webhooks.routes(),
                *health.routes(),
                *schemas.routes(),
                *openapi.routes(),
                *status.routes(),
            ]
        )
    )
    app.cleanup_ctx.extend(
        [
            lifetimes.recording(settings, port if port is not None else settings.port, readers, wall_clock),
            lifetimes.tracing(settings),
            lifetimes.sampling(settings),
            lifetimes.receiving(settings, wall_clock),
            lifetimes.probing(settings, wall_clock),
            lifetimes.showing(settings),
        ]
    )
    return app


def _rejected(request: web.Request, rejection: Rejection) -> None:
    request.app[lifetimes.TALLY].rejected(rejection, request.path)


def _checks(app: web.Application) -> dict[str, Check]:
    snapshot = app[lifetimes.SAMPLER].snapshot
    if snapshot:
        age = round(time.monotonic() - snapshot.taken_at, 3)
        sample = Check(Status.PASS, "system", age, "s")
    else:
        sample = Check(Status.FAIL, "system", output="no present sample of the host")
    store = app[lifetimes.STORE]
    spooled = app[lifetimes.SPOOL].pending
    checks = {
        "host:sampleAge": sample,
        "store:waiting": Check(
            Status.FAIL if store.problem else Status.PASS,
            "datastore",
            store.waiting,
            "{event}",
            store.problem or "",
        ),
        "spool:waiting": Check(
            Status.WARN if spooled else Status.PASS, "datastore", spooled, "{event}", needed=False
        ),
    }
    if lifetimes.PUSHING in app:
        checks["otlp:failedPushes"] = _pushes(app[lifetimes.PUSHING].state)
    if lifetimes.SPANS in app:
        checks["otlp:failedSpanPushes"] = _pushes(app[lifetimes.SPANS].state)
    return checks


def _pushes(state: PushState) -> Check:
    return Check(
        Status.WARN if state.failures else Status.PASS,
        "component",
        state.failures,
        "1",
        state.problem or "",
        needed=False,
    )
