"""Routes and views of the Django application that is measured."""

import os

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from .workloads import item_path


def item(request: HttpRequest, item_id: int) -> JsonResponse:
    """Answer with a small JSON document."""
    return JsonResponse({"item": item_id})


urlpatterns = [
    path(f"{item_path(number).removeprefix('/')}/<int:item_id>", item, name=f"item-{number}")
    for number in range(int(os.environ["BENCH_ROUTES"]))
]
if "django_prometheus" in settings.INSTALLED_APPS:
    urlpatterns.append(path("", include("django_prometheus.urls")))  # type: ignore[arg-type] # a resolver
