"""Routes and views of the project."""

import logging
import os

from django.http import HttpRequest, HttpResponse
from django.urls import path

logger = logging.getLogger("django_shop")


def order(request: HttpRequest, order_id: int) -> HttpResponse:
    """Answer with the worker's process id, and warn of it."""
    logger.warning("order %d was asked for", order_id)
    return HttpResponse(str(os.getpid()))


def plain(request: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse("ok")


urlpatterns = [
    path("orders/<int:order_id>", order),
    path("health/", plain),
    path("health/ready", plain),
    path("metrics", plain),
    path("healthcare", plain),
]
