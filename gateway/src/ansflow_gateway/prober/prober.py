"""Probing all services, each at its own pace."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import aiohttp

from ansflow_gateway.domain.availability import Availability
from ansflow_gateway.domain.health import ServiceHealth
from ansflow_gateway.domain.urls import masked
from ansflow_gateway.domain.watch import Hysteresis, Watched, advance
from ansflow_gateway.prober.probe import ProbeResult, Target, probe

_LOG: Final = logging.getLogger(__name__)

JITTER: Final = 0.1
"""Share of the interval by which each wait varies, so that probes of many services and gateways don't march
in step."""

_DEFAULT_HYSTERESIS: Final = Hysteresis()


class HealthProber:
    """Probes services concurrently and keeps what is known of each.

    Args:
        targets: Whom to ask; the names are unique.
        interval_s: Mean time between two probes of a service, in seconds.
        deadline_s: Time for one probe, in seconds.
        on_probe: Called on the event loop after each probe.
        hysteresis: How many probes in a row change a service's state.
        clock: Present time in seconds since the epoch.
        availability: Counts that were kept from an earlier run, by service; services that aren't among the
            targets are let be.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        interval_s: float,
        deadline_s: float,
        on_probe: Callable[[ProbeResult], None],
        *,
        hysteresis: Hysteresis = _DEFAULT_HYSTERESIS,
        clock: Callable[[], float] = time.time,
        availability: Mapping[str, Availability] = MappingProxyType({}),
    ) -> None:
        self._targets = targets
        self._interval_s = interval_s
        self._deadline_s = deadline_s
        self._on_probe = on_probe
        self._hysteresis = hysteresis
        self._clock = clock
        self._availability = {
            target.service: availability.get(target.service) or Availability() for target in targets
        }
        self._health: Mapping[str, Watched] = MappingProxyType({})

    @property
    def health(self) -> Mapping[str, Watched]:
        """What is known, by service: an immutable mapping, replaced whole, so any thread may read it."""
        return self._health

    @property
    def availability(self) -> Mapping[str, Availability]:
        """Counts by service, to be kept over restarts; they are the event loop's."""
        return MappingProxyType(self._availability)

    async def run(self) -> None:
        """Probe until cancelled."""
        if not self._targets:
            return
        # A new connection a probe: a service that accepts no more connections is not healthy. No proxy is
        # used, since the way to a service is not to go by one that happens to be set in the environment.
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),  # each probe has its deadline
                trace_configs=[_refusing_redirects()],
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            for target in self._targets:
                group.create_task(self._watch(session, target), name=f"probe {target.service}")

    async def _watch(self, session: aiohttp.ClientSession, target: Target) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            before = self._health.get(target.service)
            known = before.health if before else None
            result = await probe(session, target, self._deadline_s, known)
            watched = self._conclude(result, before)
            self._health = MappingProxyType({**self._health, target.service: watched})
            self._on_probe(result)
            _log_change(target, known, result.health)
            wait = self._interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
            await asyncio.sleep(max(0.0, started + wait - loop.time()))

    def _conclude(self, result: ProbeResult, before: Watched | None) -> Watched:
        now = self._clock()
        availability = self._availability[result.target.service]
        # It begins when the service is first seen up: what is started after the gateway wasn't down before.
        if result.health.up or availability.begun:
            availability.record(result.health.up, now)
        state = before.state if before else None
        return Watched(
            health=result.health,
            state=advance(state, result.health.up, now, self._hysteresis),
            probed_at=now,
            duration_s=result.duration_s,
            availability=availability.ratios(now),
            lost=availability.lost(now),
        )


def _refusing_redirects() -> aiohttp.TraceConfig:
    """Make what ends a request at a redirect.

    aiohttp's WebSocket handshake follows redirects and can't be told not to.
    """

    async def refuse(
        _: aiohttp.ClientSession, __: object, redirect: aiohttp.TraceRequestRedirectParams
    ) -> None:
        raise aiohttp.ClientConnectionError(f"HTTP status {redirect.response.status} is no health")

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    return config


def _log_change(target: Target, before: ServiceHealth | None, now: ServiceHealth) -> None:
    facts = {"service": target.service, "url": masked(target.url)}
    if before is None or before.up != now.up:
        if now.up:
            _LOG.info("service is up", extra=facts)
        else:
            _LOG.warning("service is down", extra={**facts, "problem": now.problem or "it says so"})
    if now.dropped and (before is None or not before.dropped):
        _LOG.warning("some of the service's checks are left out", extra={**facts, "dropped": now.dropped})
