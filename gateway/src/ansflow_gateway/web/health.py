"""The gateway's own health and its services', in `application/health+json`.

Four questions have four answers:

- `/health/live`: does the process answer?
- `/health/ready`: can the gateway do its work? 503 where it can't.
- `/health/services`: does the platform work? 503 where a service is down. For status pages and for monitors
  from outside.
- `/health/`: everything. The services are listed there, and one that is down makes the whole `warn`, never
  503: the gateway works, and an orchestrator that restarts or unloads it because *another* service is down
  would take away the one who tells of it.

A service is one entry `service:<name>`, by its state, which one lost probe doesn't change; its latest
probe's time and duration stand beside it.

Source: https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from aiohttp import web

from ansflow_gateway.domain.watch import Watched

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
        time: When it was measured, in seconds since the epoch; None is now.
    """

    status: Status
    component_type: str
    value: float | None = None
    unit: str = ""
    output: str = ""
    needed: bool = True
    time: float | None = None


@dataclass(frozen=True, slots=True)
class HealthSource:
    """What the health endpoints show.

    Args:
        service_id: The service's name.
        version: Its version.
        checks: Gives the outcome of every check, by its name `component:measurement`.
        services: Gives what is known of every service that is watched, by name; None before its first probe.
    """

    service_id: str
    version: str
    checks: Callable[[], Mapping[str, Check]]
    services: Callable[[], Mapping[str, Watched | None]] = dict


HEALTH: Final = web.AppKey("health", HealthSource)
"""What the health endpoints show."""


async def get_health(request: web.Request) -> web.Response:
    """Answer with all checks and all services; a service that is down is a warning."""
    source = request.app[HEALTH]
    own, services = source.checks(), service_checks(source.services())
    return _answer(source, {**own, **services}, max(_worst(own), min(_worst(services), Status.WARN)))


async def get_services(request: web.Request) -> web.Response:
    """Answer with all services."""
    source = request.app[HEALTH]
    services = service_checks(source.services())
    return _answer(source, services, _worst(services))


async def get_live(request: web.Request) -> web.Response:
    """Answer that the process handles requests; nothing else is looked at."""
    return _answer(request.app[HEALTH], {}, Status.PASS)


async def get_ready(request: web.Request) -> web.Response:
    """Answer with the checks that the gateway can't do without."""
    source = request.app[HEALTH]
    needed = {name: check for name, check in source.checks().items() if check.needed}
    return _answer(source, needed, _worst(needed))


def service_checks(services: Mapping[str, Watched | None]) -> Mapping[str, Check]:
    """Make the entries of services.

    Args:
        services: What is known of each, by name; None before its first probe.

    Returns:
        A check a service. One that is up although its latest probe failed, or down although it passed,
        warns or fails by its state, and tells of the probe in its output.
    """
    return {f"service:{name}": _service_check(watched) for name, watched in services.items()}


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
        web.get("/health/services", get_services),
    ]


def _service_check(watched: Watched | None) -> Check:
    if watched is None:
        return Check(Status.WARN, "component", output="not probed yet")
    health = watched.health
    status = (Status.PASS if health.up else Status.WARN) if watched.state.up else Status.FAIL
    if health.up:
        output = "" if watched.state.up else "its latest probe passed"
    else:
        failing = ", ".join(name for name, up in health.checks.items() if not up)
        output = health.problem or f"it says so{failing and ': ' + failing}"
    return Check(
        status, "component", round(watched.duration_s * 1000, 3), "ms", output, time=watched.probed_at
    )


def _worst(checks: Mapping[str, Check]) -> Status:
    return max((check.status for check in checks.values()), default=Status.PASS)


def _answer(source: HealthSource, checks: Mapping[str, Check], worst: Status) -> web.Response:
    now = time.time()
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


def _entry(check: Check, now: float) -> dict[str, object]:
    entry: dict[str, object] = {"componentType": check.component_type}
    if check.value is not None:
        entry |= {"observedValue": check.value, "observedUnit": check.unit}
    at = datetime.fromtimestamp(now if check.time is None else check.time, UTC)
    written = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry |= {"status": check.status.name.lower(), "time": written}
    if check.output:
        entry["output"] = check.output
    return entry
