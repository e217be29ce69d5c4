"""Health endpoints for FastAPI."""

from fastapi import APIRouter

from ansflow_instrumentation.health.starlette import Checks, health_routes

__all__ = ["Checks", "health_router"]


def health_router(
    checks: Checks = (),
    *,
    prefix: str = "/health",
    service_id: str | None = None,
    version: str | None = None,
    deadline_s: float = 2.0,
    cache_s: float = 1.0,
) -> APIRouter:
    """Make a router with the routes of `ansflow_instrumentation.health.starlette.health_routes`.

    Args:
        checks: What to check, or what gives it for a request.
        prefix: Where the routes are.
        service_id: The service's name; None for that in `OTEL_SERVICE_NAME`, if there is one.
        version: The service's version.
        deadline_s: Seconds after which a check that has not answered has failed.
        cache_s: Seconds for which a result is given again; 0 for not at all.

    Returns:
        The router, for `app.include_router`.

    Raises:
        ValueError: `deadline_s` is not positive, or `cache_s` negative.

    Example:
        >>> from fastapi import FastAPI
        >>> from ansflow_instrumentation.health import Check
        >>> app = FastAPI()
        >>> app.include_router(health_router([Check("queue", lambda: None)]))
    """
    return APIRouter(
        routes=[
            *health_routes(
                checks,
                prefix=prefix,
                service_id=service_id,
                version=version,
                deadline_s=deadline_s,
                cache_s=cache_s,
            )
        ]
    )
