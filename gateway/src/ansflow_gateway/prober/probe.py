"""One look at one service's health, in the way of its URL's scheme."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from ansflow_gateway.domain.health import NotHealthError, ServiceHealth, unreachable
from ansflow_gateway.prober import http, tcp, websocket

_LOG: Final = logging.getLogger(__name__)

Ask = Callable[[aiohttp.ClientSession, str], Awaitable[ServiceHealth]]
"""Asks a URL once, without a deadline of its own."""

KINDS: Final[Mapping[str, Ask]] = MappingProxyType(
    {
        "http": http.ask,
        "https": http.ask,
        "ws": websocket.ask,
        "wss": websocket.ask,
        "tcp": tcp.ask,
    }
)
"""How each scheme of `domain.urls.PROBE_SCHEMES` is asked; a new kind is one file and one line."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service to be probed.

    Args:
        service: Its name, as the `service` attribute has it.
        url: Its health endpoint; see `domain.urls.is_probe_url`.
    """

    service: str
    url: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Outcome of one probe.

    Args:
        target: Who was asked.
        health: What is known of it now.
        duration_s: How long it took, in seconds, failures included.
    """

    target: Target
    health: ServiceHealth
    duration_s: float


async def probe(
    session: aiohttp.ClientSession, target: Target, deadline_s: float, before: ServiceHealth | None
) -> ProbeResult:
    """Ask a service once; whatever goes wrong is an outcome, not an error.

    Args:
        session: Client session; redirects aren't followed, since a health endpoint is where its owner says
            it is.
        target: Whom to ask.
        deadline_s: Time for the whole exchange, in seconds.
        before: What was known of the service.

    Returns:
        The outcome.
    """
    started = time.perf_counter()
    try:
        async with asyncio.timeout(deadline_s):
            health = await KINDS[urlsplit(target.url).scheme](session, target.url)
    except NotHealthError as error:
        health = unreachable(f"not healthy: {error}", before)
    except TimeoutError:
        health = unreachable(f"no answer within {deadline_s:g} s", before)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        health = unreachable(f"{type(error).__name__}: {error}"[:200], before)
    except Exception as error:  # noqa: BLE001 - an answer that nobody thought of must not end the watch on all
        _LOG.exception("a probe failed for an unforeseen reason", extra={"service": target.service})
        health = unreachable(f"unforeseen: {type(error).__name__}", before)
    return ProbeResult(target, health, time.perf_counter() - started)
