"""Routes and views of the Django application that is measured."""

import os

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from .environment import ROUTES_VARIABLE
from .workloads import item_name, item_path


def item(request: HttpRequest, item_id: int) -> JsonResponse:
    """Answer with a small JSON document."""
    return JsonResponse({"item": item_id})


urlpatterns = [
    path(f"{item_path(number).removeprefix('/')}/<int:item_id>", item, name=item_name(number))
    for number in range(int(os.environ[ROUTES_VARIABLE]))
]
if "django_prometheus" in settings.INSTALLED_APPS:
    urlpatterns.append(path("", include("django_prometheus.urls")))  # type: ignore[arg-type] # a resolver
