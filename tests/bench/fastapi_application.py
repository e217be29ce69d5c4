"""The FastAPI application that is measured, and how each set-up instruments it."""

import asyncio
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from .telemetry import Export, export_nothing, export_opentelemetry, export_prometheus, set_stock_providers
from .workloads import request_headers, route_pattern

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["serve", "start"]

HEADERS = [(name.encode(), value.encode()) for name, value in request_headers().items()]


def start(instrumentation: str, routes: int) -> "tuple[FastAPI, Export]":
    """Make the instrumented application.

    Args:
        instrumentation: As a `Setup` names it.
        routes: How many routes it has.

    Returns:
        The application, and what exports its telemetry.
    """
    return STARTERS[instrumentation](routes)


def serve(app: "FastAPI", paths: Sequence[str]) -> float:
    """Have the application answer one request after another, in this thread.

    Args:
        app: From `start`.
        paths: What is requested.

    Returns:
        CPU seconds of this thread.
    """
    return asyncio.run(_serve(app, paths))


async def _serve(app: "FastAPI", paths: Sequence[str]) -> float:
    started = time.thread_time()
    for path in paths:
        await _request(app, path)
    return time.thread_time() - started


async def _request(app: "FastAPI", path: str) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS.copy(),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8001),
        "state": {},
    }
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    if status != 200:
        raise RuntimeError(f"{path} was answered with {status}")


def _application(routes: int) -> "FastAPI":
    import fastapi  # at the time of the call, for instrumentations replace the class

    app = fastapi.FastAPI()

    async def item(item_id: int) -> dict[str, int]:
        return {"item": item_id}

    for number in range(routes):
        app.add_api_route(route_pattern(number), item, methods=["GET"])
    return app


def _bare(routes: int) -> "tuple[FastAPI, Export]":
    return _application(routes), export_nothing


def _ansflow(routes: int) -> "tuple[FastAPI, Export]":
    from opentelemetry.instrumentation.auto_instrumentation import initialize

    initialize(swallow_exceptions=False)
    return _application(routes), export_opentelemetry


def _contrib(routes: int) -> "tuple[FastAPI, Export]":
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    set_stock_providers()
    FastAPIInstrumentor().instrument()
    return _application(routes), export_opentelemetry


def _native(routes: int) -> "tuple[FastAPI, Export]":
    set_stock_providers()
    return _application(routes), export_opentelemetry


def _prometheus_fastapi_instrumentator(routes: int) -> "tuple[FastAPI, Export]":
    from prometheus_fastapi_instrumentator import Instrumentator

    app = _application(routes)
    Instrumentator().instrument(app).expose(app)
    return app, export_prometheus


def _starlette_exporter(routes: int) -> "tuple[FastAPI, Export]":
    from starlette_exporter import PrometheusMiddleware, handle_metrics

    app = _application(routes)
    app.add_middleware(PrometheusMiddleware)
    app.add_route("/metrics", handle_metrics)
    return app, export_prometheus


STARTERS: "Mapping[str, Callable[[int], tuple[FastAPI, Export]]]" = {
    "none": _bare,
    "ansflow": _ansflow,
    "contrib": _contrib,
    "native": _native,
    "prometheus-fastapi-instrumentator": _prometheus_fastapi_instrumentator,
    "starlette-exporter": _starlette_exporter,
}
"""Starters by the instrumentation's name in `Setup`."""
