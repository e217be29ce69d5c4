"""Views of the project."""

import os

import psutil
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

ballast: list[bytearray] = []


def grow(request: HttpRequest) -> HttpResponse:
    """Take 60 MB once, so that workers and master differ, and tell what the process has."""
    if not ballast:
        ballast.append(bytearray(os.urandom(1 << 20) * 60))
    return JsonResponse({"pid": os.getpid(), "rss": psutil.Process().memory_info().rss})


def cached(request: HttpRequest) -> HttpResponse:
    """Ask the cache: a miss the first time, then hits."""
    return HttpResponse(str(cache.get_or_set("answer", 42)))


urlpatterns = [path("grow", grow), path("cached", cached)]
