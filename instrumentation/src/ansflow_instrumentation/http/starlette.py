"""Where FastAPI and Starlette hand their requests over, and which route took them.

The classes' own methods are wrapped, so every application is recorded, however its class was imported. The
outermost application owns a request: one mounted in it, and FastAPI's own telemetry (0.142 and later), find
the request owned. Routes are asked when they handle a request, which is when they are known: nothing is
matched twice, and the cost does not grow with the number of routes.
"""

import functools
from types import ModuleType
from typing import Any

from ansflow_instrumentation.http import asgi, websocket
from ansflow_instrumentation.http.asgi import Receive, Scope, Send
from ansflow_instrumentation.http.telemetry import telemetry_of
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.ownership import OWNED

__all__ = ["instrument_fastapi", "instrument_starlette"]

FASTAPI_TELEMETRY = "fastapi.telemetry"
"""Key in the scope of a request that FastAPI's own telemetry leaves alone."""

NOTED = "_ansflow_noted"
"""Marks a method that is wrapped already."""

PREFIX = "ansflow.route_prefix"
"""Key in the scope of the templates of the mounts above; with the scope, it is copied and left behind."""

_serve_by_type = {"http": asgi.serve, "websocket": websocket.serve}


def instrument_fastapi() -> None:
    """Record the requests of FastAPI applications, once FastAPI is imported."""
    when_imported("fastapi.applications", lambda module: _own_requests(module.FastAPI))
    when_imported("starlette.routing", _note_routes)
    when_imported("fastapi.routing", _note_api_routes)


def instrument_starlette() -> None:
    """Record the requests of other Starlette applications, once Starlette is imported."""
    when_imported("starlette.applications", _own_middleware_stacks)
    when_imported("starlette.routing", _note_routes)


def _own_requests(application: Any) -> None:
    call = application.__call__

    @functools.wraps(call)
    async def record(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        serve = None if OWNED in scope else _serve_by_type.get(scope["type"])
        # Not before the first request: the providers are set up by then, whatever was imported first.
        telemetry = telemetry_of("FASTAPI") if serve is not None else None
        if serve is None or telemetry is None:
            await call(self, scope, receive, send)
            return
        scope[FASTAPI_TELEMETRY] = None
        await serve(telemetry, scope, receive, send, functools.partial(call, self))

    application.__call__ = record


def _own_middleware_stacks(module: ModuleType) -> None:
    """Record around the middleware of applications that are Starlette's own.

    Not around `__call__`, which FastAPI's calls: that would be a step more in each of its requests. FastAPI
    builds its stack by itself.
    """
    build = module.Starlette.build_middleware_stack

    @functools.wraps(build)
    def build_recorded(self: Any) -> Any:
        stack = build(self)

        async def record(scope: Scope, receive: Receive, send: Send) -> None:
            serve = None if OWNED in scope else _serve_by_type.get(scope["type"])
            telemetry = telemetry_of("FASTAPI") if serve is not None else None
            if serve is None or telemetry is None:
                await stack(scope, receive, send)
            else:
                scope[FASTAPI_TELEMETRY] = None  # for FastAPI applications that are mounted in this one
                await serve(telemetry, scope, receive, send, stack)

        return record

    module.Starlette.build_middleware_stack = build_recorded


def _note_routes(routing: ModuleType) -> None:
    for route in (routing.Route, routing.WebSocketRoute):
        _note_when_handled(route, _note_route)
    _note_when_handled(routing.Mount, _note_mount)


def _note_api_routes(routing: ModuleType) -> None:
    if "handle" in vars(routing.APIRoute):
        _note_when_handled(routing.APIRoute, _note_route)


def _note_when_handled(route_class: Any, note: Any) -> None:
    handle = vars(route_class)["handle"]
    if hasattr(handle, NOTED):  # FastAPI's and Starlette's instrumentation both come here
        return

    @functools.wraps(handle)
    def note_and_handle(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:
        owner = scope.get(OWNED)
        # FastAPI's routes come here twice: by their own method, and by the one that it calls.
        if owner is not None and owner is not True and owner.taken_by is not self:
            owner.taken_by = self
            note(owner, self, scope)
        return handle(self, scope, receive, send)

    setattr(note_and_handle, NOTED, True)
    route_class.handle = note_and_handle


def _note_route(owner: Any, route: Any, scope: Scope) -> None:
    owner.route = _prefix(scope) + _path(route, scope)


def _note_mount(owner: Any, mount: Any, scope: Scope) -> None:
    prefix = scope[PREFIX] = _prefix(scope) + _path(mount, scope)
    # Until a route inside takes it; and for applications that have no routes, static files for one.
    owner.route = f"{prefix}/{{path}}"
    owner.mounted_at = prefix


def _prefix(scope: Scope) -> str:
    prefix: str | None = scope.get(PREFIX)
    if prefix is None:
        # Where a proxy serves the application; Starlette adds to root_path in mounts, so the first is meant.
        root: str = scope.get("app_root_path", scope.get("root_path", ""))
        prefix = root.rstrip("/")
    return prefix


def _path(route: Any, scope: Scope) -> str:
    """Give a route's template, with the prefixes under which its router was included."""
    if "fastapi" in scope:
        # Newer versions of FastAPI keep included routers nested; the effective route has the whole path.
        effective = scope["fastapi"].get("effective_route_context")
        if effective is not None and route is effective.original_route:
            whole: str = getattr(effective.starlette_route, "path", None) or effective.path
            return whole
    path: str = route.path
    return path
