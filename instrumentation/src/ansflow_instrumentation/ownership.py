"""One owner a request: exactly one SERVER span and one duration point, whoever else could see it.

Who can see a request: contrib's ASGI middleware (once per FastAPI application, so twice where one is mounted
in another), and FastAPI's own telemetry (0.142 and later). FastAPI steps aside for contrib's middleware by
itself; what is left to do is done here. An instrumentation that replaces contrib's claims by the same key.
"""

import functools
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from types import ModuleType
from typing import Any

from ansflow_instrumentation.import_hooks import when_imported

__all__ = ["OWNED", "instrument_every_import_path", "keep_export_single", "record_each_request_once"]

OWNED = "ansflow.request_owned"
"""Key in the ASGI scope of a request that somebody records already."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_logger = logging.getLogger(__name__)


def record_each_request_once() -> None:
    """Let the outermost ASGI middleware record a request, and those of mounted applications pass it on."""
    when_imported("opentelemetry.instrumentation.asgi", _guard_middleware)


def _guard_middleware(asgi: ModuleType) -> None:
    record = asgi.OpenTelemetryMiddleware.__call__

    @functools.wraps(record)
    async def record_unless_owned(middleware: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if OWNED in scope:
            await middleware.app(scope, receive, send)
            return
        scope[OWNED] = True
        await record(middleware, scope, receive, send)

    asgi.OpenTelemetryMiddleware.__call__ = record_unless_owned


def instrument_every_import_path() -> None:
    """Make `from fastapi.applications import FastAPI` the instrumented class as well.

    contrib replaces `fastapi.FastAPI` only. An application made from the other path would be recorded by
    nobody before FastAPI 0.142, and by FastAPI itself, without the exclusions, from then on.
    """
    import fastapi  # imported only where the application has FastAPI
    import fastapi.applications

    vars(fastapi.applications)["FastAPI"] = fastapi.FastAPI


def keep_export_single(env: MutableMapping[str, str]) -> None:
    """Keep FastAPI from adding its exporters to our providers, which would send everything twice.

    The one place where the user's setting gives way, with a warning: the distro has an exporter already.

    Args:
        env: The process's environment, changed in place.
    """
    variable = "FASTAPI_OTEL_AUTO_CONFIGURE"
    if env.get(variable, "").lower() == "true":
        _logger.warning(
            "%s=%r is ignored: the distro exports already, and everything would be sent twice",
            variable,
            env[variable],
        )
        env[variable] = "false"
