"""Settings, of the platform and of projects."""

import logging

from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.views import View
from redis.exceptions import RedisError

from django_service.errors import body_of
from django_service.management import platform_settings
from django_service.management.activity import record_request
from django_service.management.views.projects import existing_project

logger = logging.getLogger(__name__)

_KEY = "platform-settings"
_TTL_S = 15


class PlatformSettingsView(View):
    def get(self, request: HttpRequest) -> JsonResponse:
        values = _cached()
        if values is None:
            values = platform_settings.of_platform()
            _keep(values)
        return JsonResponse({"settings": values})

    def put(self, request: HttpRequest) -> JsonResponse:
        platform_settings.change(None, platform_settings.validated(body_of(request)))
        values = platform_settings.of_platform()
        _keep(values)
        record_request("settings_changed", request)
        return JsonResponse({"settings": values})


class ProjectSettingsView(View):
    def get(self, request: HttpRequest, slug: str) -> JsonResponse:
        return JsonResponse({"settings": platform_settings.of_project(existing_project(slug))})

    def put(self, request: HttpRequest, slug: str) -> JsonResponse:
        project = existing_project(slug)
        platform_settings.change(project, platform_settings.validated(body_of(request)))
        record_request("settings_changed", request)
        return JsonResponse({"settings": platform_settings.of_project(project)})


# A cache that fails is a cache that misses.


def _cached() -> dict[str, object] | None:
    try:
        values: dict[str, object] | None = cache.get(_KEY)
    except RedisError as error:
        logger.warning("cache: cannot read: %s", error)
        return None
    return values


def _keep(values: dict[str, object]) -> None:
    try:
        cache.set(_KEY, values, _TTL_S)
    except RedisError as error:
        logger.warning("cache: cannot write: %s", error)
