"""Health endpoints for Starlette; for FastAPI see `ansflow_instrumentation.health.fastapi`."""

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ansflow_instrumentation.health.checks import Check
from ansflow_instrumentation.health.service import HEADERS, MEDIA_TYPE, Page, ServiceHealth

__all__ = ["Checks", "health_routes"]

Checks = Sequence[Check] | Callable[[Request], Sequence[Check]]
"""The checks, or what gives them for a request: of what the application opens in its lifespan."""


def health_routes(
    checks: Checks = (),
    *,
    prefix: str = "/health",
    service_id: str | None = None,
    version: str | None = None,
    deadline_s: float = 2.0,
    cache_s: float = 1.0,
) -> list[Route]:
    """Make the routes of `/health/`, `/health/live` and `/health/ready`, with and without a slash at the end.

    All answer GET and HEAD with `application/health+json`: 503 where a critical check fails, else 200.

    Args:
        checks: What to check; none of it for `live`.
        prefix: Where the routes are.
        service_id: The service's name; None for that in `OTEL_SERVICE_NAME`, if there is one.
        version: The service's version.
        deadline_s: Seconds after which a check that has not answered has failed.
        cache_s: Seconds for which a result is given again; 0 for not at all.

    Returns:
        The routes, for `Starlette(routes=[*health_routes(…), …])`.

    Raises:
        ValueError: `deadline_s` is not positive, or `cache_s` negative.

    Example:
        >>> from starlette.applications import Starlette
        >>> from ansflow_instrumentation.health import http_check
        >>> checks = [http_check("http://127.0.0.1:8000/health/live", name="peer", critical=False)]
        >>> app = Starlette(routes=health_routes(checks, version="1.4"))
    """
    health = ServiceHealth(service_id=service_id, version=version, deadline_s=deadline_s, cache_s=cache_s)
    pages = {"": Page.ALL, "/live": Page.LIVE, "/ready": Page.READY}
    return [
        Route(path, _endpoint(health, page, checks), methods=["GET"], include_in_schema=False, name=name)
        for below, page in pages.items()
        for name in [f"health{below.replace('/', '-')}"]
        for path in (prefix + below, f"{prefix}{below}/")
        if path
    ]


def _endpoint(health: ServiceHealth, page: Page, checks: Checks) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        current = () if page is Page.LIVE else checks(request) if callable(checks) else checks
        answer = await health.answer(page, current)
        return Response(answer.body, answer.http_status, HEADERS, MEDIA_TYPE)

    return endpoint
