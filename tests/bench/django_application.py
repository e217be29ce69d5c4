"""The Django application that is measured, and how each set-up instruments it."""

import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .environment import ROUTES_VARIABLE
from .telemetry import Export, export_nothing, export_opentelemetry, export_prometheus, set_stock_providers
from .workloads import request_headers

if TYPE_CHECKING:
    from django.core.handlers.wsgi import WSGIHandler

__all__ = ["serve", "start"]

HEADERS = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request_headers().items()}


def start(instrumentation: str, routes: int) -> "tuple[WSGIHandler, Export]":
    """Make the instrumented application.

    Args:
        instrumentation: As a `Setup` names it.
        routes: How many routes it has.

    Returns:
        The application, and what exports its telemetry.
    """
    os.environ[ROUTES_VARIABLE] = str(routes)
    os.environ["DJANGO_SETTINGS_MODULE"] = f"{__package__}.django_settings"
    return STARTERS[instrumentation]()


def serve(app: "WSGIHandler", paths: Sequence[str]) -> float:
    """Have the application answer one request after another, in this thread.

    Args:
        app: From `start`.
        paths: What is requested.

    Returns:
        CPU seconds of this thread.
    """
    started = time.thread_time()
    for path in paths:
        _request(app, path)
    return time.thread_time() - started


def _request(app: "WSGIHandler", path: str) -> None:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "RAW_URI": path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8001",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **HEADERS,
    }
    answered: list[str] = []

    def start_response(status: str, *_: object) -> Callable[[bytes], object]:
        answered.append(status)
        return lambda _: None

    response = app(environ, start_response)
    try:
        b"".join(response)
    finally:
        response.close()
    if answered != ["200 OK"]:
        raise RuntimeError(f"{path} was answered with {answered}")


def _application() -> "WSGIHandler":
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def _bare() -> "tuple[WSGIHandler, Export]":
    return _application(), export_nothing


def _ansflow() -> "tuple[WSGIHandler, Export]":
    from opentelemetry.instrumentation.auto_instrumentation import initialize

    initialize(swallow_exceptions=False)
    return _application(), export_opentelemetry


def _contrib() -> "tuple[WSGIHandler, Export]":
    from opentelemetry.instrumentation.django import DjangoInstrumentor

    set_stock_providers()
    DjangoInstrumentor().instrument()
    return _application(), export_opentelemetry


def _django_prometheus() -> "tuple[WSGIHandler, Export]":
    os.environ["DJANGO_SETTINGS_MODULE"] = f"{__package__}.django_settings_prometheus"
    return _application(), export_prometheus


STARTERS: "Mapping[str, Callable[[], tuple[WSGIHandler, Export]]]" = {
    "none": _bare,
    "ansflow": _ansflow,
    "contrib": _contrib,
    "django-prometheus": _django_prometheus,
}
"""Starters by the instrumentation's name in `Setup`."""
