"""One look at one service's health."""

import json
import logging
import time
from dataclasses import dataclass
from typing import Final

import aiohttp

from ansflow_gateway.domain.health import NotHealthError, ServiceHealth, read_document, unreachable

_LOG: Final = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 64 * 1024
"""Largest health document that is read."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service to be probed.

    Args:
        service: Its name, as the `service` attribute has it.
        url: Its health endpoint.
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
        health = await _ask(session, target.url, deadline_s)
    except NotHealthError as error:
        health = unreachable(f"no health document: {error}", before)
    except TimeoutError:
        health = unreachable(f"no answer within {deadline_s:g} s", before)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        health = unreachable(f"{type(error).__name__}: {error}"[:200], before)
    except Exception as error:  # noqa: BLE001 - an answer that nobody thought of must not end the watch on all
        _LOG.exception("a probe failed for an unforeseen reason", extra={"service": target.service})
        health = unreachable(f"unforeseen: {type(error).__name__}", before)
    return ProbeResult(target, health, time.perf_counter() - started)


async def _ask(session: aiohttp.ClientSession, url: str, deadline_s: float) -> ServiceHealth:
    # Uncompressed, so that the bound on the body is one on memory.
    headers = {"Accept": "application/health+json, application/json;q=0.9", "Accept-Encoding": "identity"}
    timeout = aiohttp.ClientTimeout(total=deadline_s)
    async with session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise NotHealthError(f"expected at most {MAX_BODY_BYTES} bytes")
        try:
            document = json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            raise NotHealthError(f"expected JSON with HTTP status {response.status}") from error
        return read_document(document, response.status)
