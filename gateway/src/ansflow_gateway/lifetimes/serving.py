"""What events come in by, and what people look at."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from aiohttp import web

from ansflow_gateway.config import Settings
from ansflow_gateway.lifetimes.keys import (
    BOOK,
    INSTRUMENTS,
    REJECTIONS,
    SAMPLER,
    SPOOL,
    STORE,
    TALLY,
    Lifetime,
)
from ansflow_gateway.lifetimes.tasks import background
from ansflow_gateway.lifetimes.watching import known_services
from ansflow_gateway.meters.events import EventMeters
from ansflow_gateway.receivers import events
from ansflow_gateway.receivers.webhooks.hooks import build_verifiers
from ansflow_gateway.receivers.webhooks.receiver import WEBHOOKS, WebhookReceiver
from ansflow_gateway.status_view import GatewayStatus, Parts
from ansflow_gateway.web.drain import DRAIN
from ansflow_gateway.web.secrets import SecretSetting, signing_key
from ansflow_gateway.web.status.events import Live
from ansflow_gateway.web.status.handlers import LIVE


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
        async with background(status=live.run()):
            yield
        live.close()

    return lifetime
