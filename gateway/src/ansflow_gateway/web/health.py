"""The gateway's own health, in `application/health+json`.

Source: https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from aiohttp import web

CONTENT_TYPE: Final = "application/health+json"


class Status(IntEnum):
    """States of a check, the worse the greater."""

    PASS = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Check:
    """One check's outcome.

    Args:
        status: The outcome.
        component_type: What is checked: `component`, `datastore` or `system`.
        value: What was measured; None where there is nothing to measure.
        unit: The value's unit.
        output: Why it doesn't pass; empty where it does.
        needed: Whether the gateway isn't ready without it.
    """

    status: Status
    component_type: str
    value: float | None = None
    unit: str = ""
    output: str = ""
    needed: bool = True


@dataclass(frozen=True, slots=True)
class HealthSource:
    """What the health endpoints show.

    Args:
        service_id: The service's name.
        version: Its version.
        checks: Gives the outcome of every check, by its name `component:measurement`.
    """

    service_id: str
    version: str
    checks: Callable[[], Mapping[str, Check]]


HEALTH: Final = web.AppKey("health", HealthSource)
"""What the health endpoints show."""


async def get_health(request: web.Request) -> web.Response:
    """Answer with all checks."""
    source = request.app[HEALTH]
    return _answer(source, source.checks())


async def get_live(request: web.Request) -> web.Response:
    """Answer that the process handles requests; nothing else is looked at."""
    return _answer(request.app[HEALTH], {})


async def get_ready(request: web.Request) -> web.Response:
    """Answer with the checks that the gateway can't do without."""
    source = request.app[HEALTH]
    return _answer(source, {name: check for name, check in source.checks().items() if check.needed})


def routes() -> Sequence[web.RouteDef]:
    """List the routes.

    Returns:
        Those below `/health`.
    """
    return [
        web.get("/health", get_health),
        web.get("/health/", get_health),
        web.get("/health/live", get_live),
        web.get("/health/ready", get_ready),
    ]


def _answer(source: HealthSource, checks: Mapping[str, Check]) -> web.Response:
    worst = max((check.status for check in checks.values()), default=Status.PASS)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document: dict[str, object] = {
        "status": worst.name.lower(),
        "version": source.version,
        "serviceId": source.service_id,
    }
    if checks:
        document["checks"] = {name: [_entry(check, now)] for name, check in checks.items()}
    return web.Response(
        body=json.dumps(document).encode(),
        status=503 if worst is Status.FAIL else 200,
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store"},
    )


def _entry(check: Check, now: str) -> dict[str, object]:
    entry: dict[str, object] = {"componentType": check.component_type}
    if check.value is not None:
        entry |= {"observedValue": check.value, "observedUnit": check.unit}
    entry |= {"status": check.status.name.lower(), "time": now}
    if check.output:
        entry["output"] = check.output
    return entry
