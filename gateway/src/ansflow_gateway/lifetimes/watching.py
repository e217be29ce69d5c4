"""What looks at the host, and at the services."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final

from aiohttp import web

from ansflow_gateway.config import Settings
from ansflow_gateway.domain.availability import Availability
from ansflow_gateway.domain.watch import Watched
from ansflow_gateway.folding.book import Book
from ansflow_gateway.lifetimes.keys import (
    BOOK,
    INSTRUMENTS,
    PROBER,
    SAMPLER,
    Lifetime,
)
from ansflow_gateway.lifetimes.tasks import background
from ansflow_gateway.meters import system
from ansflow_gateway.meters.health import HealthMeters
from ansflow_gateway.prober.probe import ProbeResult, Target
from ansflow_gateway.prober.prober import HealthProber
from ansflow_gateway.sampling.host import HostReader
from ansflow_gateway.sampling.sampler import Sampler

_LOG: Final = logging.getLogger(__name__)

KEEP_S: Final = 60.0
"""Time between two saves of the services' availability, in seconds."""

AVAILABILITY: Final = "availability/"
"""What the names begin with under which it is kept."""


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
        async with background(prober=prober.run(), keeping=_keep_availability(book, prober)):
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


def known_services(app: web.Application, settings: Settings) -> Mapping[str, Watched | None]:
    """Return what is known of every service that is watched; None before its first probe."""
    health = app[PROBER].health
    return {name: health.get(name) for name in settings.services}
