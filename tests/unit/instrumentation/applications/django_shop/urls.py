"""Routes and views of the project."""

import logging
import os

import httpx
from django.http import HttpRequest, HttpResponse
from django.urls import path

logger = logging.getLogger("django_shop")


def order(request: HttpRequest, order_id: int) -> HttpResponse:
    """Answer with the worker's process id, and warn of it."""
    logger.warning("order %d was asked for", order_id)
    return HttpResponse(str(os.getpid()))


def ask_backend(request: HttpRequest) -> HttpResponse:
    """Call the service behind this one."""
    logger.warning("the backend is asked")
    return HttpResponse(str(httpx.get(os.environ["SHOP_BACKEND_URL"]).status_code))


def plain(request: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse("ok")


urlpatterns = [
    path("orders/<int:order_id>", order),
    path("health/", plain),
    path("health/ready", plain),
    path("checkout", ask_backend),
    path("health/live", ask_backend),
    path("metrics", plain),
    path("healthcare", plain),
]
