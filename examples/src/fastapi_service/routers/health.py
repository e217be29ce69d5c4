"""Health, in the platform's one format."""

import time
from datetime import UTC, datetime

from fastapi import APIRouter, Response
from platform_health import MEDIA_TYPE, Check, Report, Status, uptime_check
from platform_health.probes import AsyncProbe, Probe, run_async

from fastapi_service import __version__
from fastapi_service.resources import Resources, ResourcesDep

router = APIRouter(prefix="/health", tags=["health"])

SERVICE_ID = "ansflow-fastapi"
DEADLINE_S = 2.0


@router.get("/")
async def health(resources: ResourcesDep) -> Response:
    """Report on everything: this process, what it depends on, and its peers."""
    peers: list[AsyncProbe] = [
        Probe("django", "component", resources.management.probe, required=False),
        Probe("registry", "component", resources.registry.probe, required=False),
    ]
    checks = await run_async([*_dependencies(resources), *peers], deadline_s=DEADLINE_S)
    return _response(_uptime(resources), *checks, _active_runs(resources))


@router.get("/live")
async def live(resources: ResourcesDep) -> Response:
    """Report on this process alone."""
    return _response(_uptime(resources))


@router.get("/ready")
async def ready(resources: ResourcesDep) -> Response:
    """Report on what has to be there for requests to be served."""
    return _response(*await run_async(_dependencies(resources), deadline_s=DEADLINE_S))


def _dependencies(resources: Resources) -> list[AsyncProbe]:
    # Without its cache the service is slower, not useless.
    return [
        Probe("database", "datastore", resources.database.probe, required=True),
        Probe("cache", "datastore", resources.cache.probe, required=False),
    ]


def _uptime(resources: Resources) -> Check:
    return uptime_check(seconds=time.monotonic() - resources.started, now=datetime.now(UTC))


def _active_runs(resources: Resources) -> Check:
    return Check(
        name="runs:active",
        component_type="component",
        status=Status.PASS,
        observed_value=resources.runner.active,
        observed_unit="{run}",
        time=datetime.now(UTC),
    )


def _response(*checks: Check) -> Response:
    report = Report(service_id=SERVICE_ID, version=__version__, checks=checks)
    return Response(
        report.as_bytes(),
        status_code=report.http_status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store"},
    )
