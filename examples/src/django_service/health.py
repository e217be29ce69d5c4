"""Health, in the platform's one format."""

import time
from datetime import UTC, datetime

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from platform_health import MEDIA_TYPE, Check, Report, uptime_check
from platform_health.probes import Probe, ThreadProbe, run_in_threads

from django_service import __version__
from django_service.management import pipelines
from django_service.management.models import User

SERVICE_ID = "ansflow-django"
DEADLINE_S = 2.0

_STARTED = time.monotonic()


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Report on everything: this process, what it depends on, and its peer."""
    peer: ThreadProbe = Probe("fastapi", "component", pipelines.probe, required=False)
    return _response(_uptime(), *run_in_threads([*_dependencies(), peer], deadline_s=DEADLINE_S))


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Report on this process alone."""
    return _response(_uptime())


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Report on what has to be there for requests to be served."""
    return _response(*run_in_threads(_dependencies(), deadline_s=DEADLINE_S))


def _dependencies() -> list[ThreadProbe]:
    # Without its cache the service is slower, not useless.
    return [
        Probe("database", "datastore", _read_from_database, required=True),
        Probe("cache", "datastore", _read_from_cache, required=False),
    ]


def _read_from_database() -> None:
    # Connections belong to threads: this thread's ends with it.
    try:
        User.objects.exists()
    finally:
        connection.close()


def _read_from_cache() -> None:
    cache.get("health")


def _uptime() -> Check:
    return uptime_check(seconds=time.monotonic() - _STARTED, now=datetime.now(UTC))


def _response(*checks: Check) -> HttpResponse:
    report = Report(service_id=SERVICE_ID, version=__version__, checks=checks)
    return HttpResponse(
        report.as_bytes(),
        status=report.http_status,
        content_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store"},
    )
