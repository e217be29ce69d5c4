"""Health: what the service depends on, and its peers."""

from ansflow_instrumentation.health import Check, Observation, http_check
from ansflow_instrumentation.health.fastapi import health_router
from fastapi import APIRouter
from starlette.requests import Request

from fastapi_service import __version__
from fastapi_service.resources import resources_of

SERVICE_ID = "ansflow-fastapi"


def make_router() -> APIRouter:
    """Return the router of one application's health endpoints."""
    return health_router(_checks, service_id=SERVICE_ID, version=__version__)


def _checks(request: Request) -> list[Check]:
    resources = resources_of(request)

    async def active_runs() -> Observation:
        return Observation(resources.runner.active, "{run}")

    return [
        resources.database.check(),
        # Without its cache the service is slower, not useless.
        resources.cache.check(),
        # Of a peer only its own process is asked, not what that depends on.
        http_check("/health/live", client=resources.management_http, name="django"),
        http_check("/v1/status", client=resources.registry_http, name="registry"),
        Check("runs:active", active_runs, ready=False, cached=False),
    ]
