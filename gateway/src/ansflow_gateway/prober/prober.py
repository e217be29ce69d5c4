"""Probing all services, each at its own pace."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import aiohttp

from ansflow_gateway.domain.health import ServiceHealth
from ansflow_gateway.domain.urls import masked
from ansflow_gateway.prober.probe import ProbeResult, Target, probe

_LOG: Final = logging.getLogger(__name__)

JITTER: Final = 0.1
"""Share of the interval by which each wait varies, so that probes of many services and gateways don't march
in step."""


class HealthProber:
    """Probes services concurrently and keeps what is known of each.

    Args:
        targets: Whom to ask; the names are unique.
        interval_s: Mean time between two probes of a service, in seconds.
        deadline_s: Time for one probe, in seconds.
        on_probe: Called on the event loop after each probe.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        interval_s: float,
        deadline_s: float,
        on_probe: Callable[[ProbeResult], None],
    ) -> None:
        self._targets = targets
        self._interval_s = interval_s
        self._deadline_s = deadline_s
        self._on_probe = on_probe
        self._health: Mapping[str, ServiceHealth] = MappingProxyType({})

    @property
    def health(self) -> Mapping[str, ServiceHealth]:
        """What is known, by service: an immutable mapping, replaced whole, so any thread may read it."""
        return self._health

    async def run(self) -> None:
        """Probe until cancelled."""
        if not self._targets:
            return
        # A new connection a probe: a service that accepts no more connections is not healthy. No proxy is
        # used, since the way to a service is not to go by one that happens to be set in the environment.
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False) as session,
            asyncio.TaskGroup() as group,
        ):
            for target in self._targets:
                group.create_task(self._watch(session, target), name=f"probe {target.service}")

    async def _watch(self, session: aiohttp.ClientSession, target: Target) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            before = self._health.get(target.service)
            result = await probe(session, target, self._deadline_s, before)
            self._health = MappingProxyType({**self._health, target.service: result.health})
            self._on_probe(result)
            _log_change(target, before, result.health)
            wait = self._interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
            await asyncio.sleep(max(0.0, started + wait - loop.time()))


def _log_change(target: Target, before: ServiceHealth | None, now: ServiceHealth) -> None:
    facts = {"service": target.service, "url": masked(target.url)}
    if before is None or before.up != now.up:
        if now.up:
            _LOG.info("service is up", extra=facts)
        else:
            _LOG.warning("service is down", extra={**facts, "problem": now.problem or "it says so"})
    if now.dropped and (before is None or not before.dropped):
        _LOG.warning("some of the service's checks are left out", extra={**facts, "dropped": now.dropped})
