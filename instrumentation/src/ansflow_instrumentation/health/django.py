"""Health endpoints for Django."""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.urls import URLPattern, re_path

from ansflow_instrumentation.health.checks import Check
from ansflow_instrumentation.health.service import HEADERS, MEDIA_TYPE, Answer, Page, ServiceHealth

__all__ = ["health_urls"]

# Django's own decorator takes coroutine functions from 5.0 on.
SAFE = ("GET", "HEAD")
"""Methods that are answered."""


def health_urls(
    checks: Sequence[Check] = (),
    *,
    prefix: str = "",
    service_id: str | None = None,
    version: str | None = None,
    deadline_s: float = 2.0,
    cache_s: float = 1.0,
    asynchronous: bool = False,
) -> list[URLPattern]:
    """Make a URLconf of `/health/`, `/health/live` and `/health/ready`, with and without a slash at the end.

    All answer GET and HEAD with `application/health+json`: 503 where a critical check fails, else 200.

    Args:
        checks: What to check; none of it for `live`.
        prefix: Empty for `path("health/", include(health_urls(…)))`, where `/health` alone is Django's
            `APPEND_SLASH` to answer. `health` for `urlpatterns = [*health_urls(…, prefix="health"), …]`,
            which answers `/health` as well.
        service_id: The service's name; None for that in `OTEL_SERVICE_NAME`, if there is one.
        version: The service's version.
        deadline_s: Seconds after which a check that has not answered has failed.
        cache_s: Seconds for which a result is given again; 0 for not at all.
        asynchronous: Whether the views are coroutine functions. They need be under ASGI where checks are, and
            belong to the server's event loop (an asyncpg pool). As plain functions, which are right under
            WSGI and ASGI, they run each check in a thread, coroutine functions on an event loop of their
            own.

    Returns:
        The patterns.

    Raises:
        ValueError: `deadline_s` is not positive, or `cache_s` negative.

    Example:
        >>> from django.urls import include, path
        >>> from ansflow_instrumentation.health import django_cache_check, django_database_check
        >>> checks = [django_database_check(), django_cache_check(critical=False)]
        >>> urlpatterns = [path("health/", include(health_urls(checks, version="1.4")))]
    """
    health = ServiceHealth(service_id=service_id, version=version, deadline_s=deadline_s, cache_s=cache_s)
    make_view = _async_view if asynchronous else _view
    below = f"^{prefix}/" if prefix else "^"
    patterns = {
        (f"^{prefix}/?$" if prefix else "^$"): (Page.ALL, "health"),
        f"{below}live/?$": (Page.LIVE, "health-live"),
        f"{below}ready/?$": (Page.READY, "health-ready"),
    }
    return [
        re_path(pattern, make_view(health, page, checks), name=name)
        for pattern, (page, name) in patterns.items()
    ]


def _view(
    health: ServiceHealth, page: Page, checks: Sequence[Check]
) -> Callable[[HttpRequest], HttpResponseBase]:
    def view(request: HttpRequest) -> HttpResponse:
        if request.method not in SAFE:
            return HttpResponseNotAllowed(SAFE)
        return _response(request, health.answer_in_threads(page, checks))

    return _open_to_all(view)


def _async_view(
    health: ServiceHealth, page: Page, checks: Sequence[Check]
) -> Callable[[HttpRequest], HttpResponseBase]:
    async def view(request: HttpRequest) -> HttpResponse:
        if request.method not in SAFE:
            return HttpResponseNotAllowed(SAFE)
        return _response(request, await health.answer(page, checks))

    return _open_to_all(view)


def _open_to_all(view: Callable[..., Any]) -> Callable[[HttpRequest], HttpResponseBase]:
    # What Django's `login_not_required` sets (5.1 and later): orchestrators have no session.
    vars(view)["login_required"] = False
    return view


def _response(request: HttpRequest, answer: Answer) -> HttpResponse:
    # Not every server takes the body of an answer to HEAD away.
    body = b"" if request.method == "HEAD" else answer.body
    headers = {**HEADERS, "Content-Length": str(len(answer.body))}
    return HttpResponse(body, status=answer.http_status, content_type=MEDIA_TYPE, headers=headers)
