"""Where Django and Channels hand their requests over, and which route took them.

The handlers' own `__call__` are wrapped, outside of all middleware: a request with a Host that is not allowed
is recorded like any other, nothing has to be inserted into the settings, and async views stay in their task.
"""

import functools
import sys
from types import ModuleType
from typing import Any

from ansflow_instrumentation.http import asgi, websocket, wsgi
from ansflow_instrumentation.http.asgi import Receive, Scope, Send
from ansflow_instrumentation.http.telemetry import HttpTelemetry
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.ownership import OWNED

__all__ = ["instrument_django"]


def instrument_django() -> None:
    """Record the requests of Django, and the WebSockets of Channels, once they are imported."""
    when_imported("django.core.handlers.wsgi", _own_wsgi_requests)
    when_imported("django.core.handlers.asgi", _own_asgi_requests)
    when_imported("django.core.handlers.base", _note_routes)
    when_imported("django.core.signals", _note_exceptions)
    when_imported("channels.routing", _own_websockets)


@functools.cache
def _telemetry() -> HttpTelemetry:
    return HttpTelemetry.of("DJANGO")


def _own_wsgi_requests(module: ModuleType) -> None:
    call = module.WSGIHandler.__call__

    @functools.wraps(call)
    def record(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        if OWNED in environ:
            return call(self, environ, start_response)
        return wsgi.serve(_telemetry(), environ, start_response, functools.partial(call, self))

    module.WSGIHandler.__call__ = record


def _own_asgi_requests(module: ModuleType) -> None:
    call = module.ASGIHandler.__call__

    @functools.wraps(call)
    async def record(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if OWNED in scope or scope["type"] != "http":
            await call(self, scope, receive, send)
        else:
            await asgi.serve(_telemetry(), scope, receive, send, functools.partial(call, self))

    module.ASGIHandler.__call__ = record


def _owner_of(request: Any) -> Any:
    source = getattr(request, "scope", None) or getattr(request, "environ", None) or {}
    return source.get(OWNED)


def _note_routes(module: ModuleType) -> None:
    resolve = module.BaseHandler.resolve_request

    @functools.wraps(resolve)
    def resolve_and_note(self: Any, request: Any) -> Any:
        match = resolve(self, request)
        owner = _owner_of(request)
        if owner is not None:
            owner.route = route_template(request.resolver_match.route)
        return match

    module.BaseHandler.resolve_request = resolve_and_note


def _note_exceptions(module: ModuleType) -> None:
    def note(request: Any = None, **_: Any) -> None:
        owner, error = _owner_of(request), sys.exception()
        if owner is not None and error is not None:
            owner.fail(error)

    module.got_request_exception.connect(note, weak=False, dispatch_uid="ansflow_instrumentation")


@functools.lru_cache(maxsize=1024)
def route_template(route: str) -> str:
    """Make a readable template of a route.

    Args:
        route: As Django has it: what `path()` takes, or regular expressions (`re_path()`, DRF's routers), or
            both after each other.

    Returns:
        The route from the root, with `<name>` for each group of a regular expression.
    """
    if any(sign in route for sign in "^$()\\"):
        from django.contrib.admindocs import utils  # Django's own way of showing such a route to people

        route = utils.remove_non_capturing_groups(route)
        route = utils.replace_named_groups(route)
        route = utils.replace_unnamed_groups(route)
        route = utils.replace_metacharacters(route).replace("\\", "")
    return route if route.startswith("/") else f"/{route}"


def _own_websockets(module: ModuleType) -> None:
    for router in (module.ProtocolTypeRouter, module.URLRouter):
        _own_websockets_of(router)
    _note_websocket_routes(module.URLRouter)


def _own_websockets_of(router: Any) -> None:
    call = router.__call__

    @functools.wraps(call)
    async def record(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if OWNED in scope or scope["type"] != "websocket":
            await call(self, scope, receive, send)
        else:
            await websocket.serve(_telemetry(), scope, receive, send, functools.partial(call, self))

    router.__call__ = record


def _note_websocket_routes(router: Any) -> None:
    init = router.__init__

    @functools.wraps(init)
    def init_and_wrap(self: Any, routes: Any) -> None:
        init(self, routes)
        for route in self.routes:
            route.callback = _noting(route)

    router.__init__ = init_and_wrap


def _noting(route: Any) -> Any:
    callback, pattern = route.callback, str(route.pattern)

    @functools.wraps(callback, updated=())
    def note_and_call(scope: Scope, *channel: Any) -> Any:
        owner = scope.get(OWNED)
        if owner is not None and owner is not True:
            owner.prefix = (owner.prefix or "") + pattern
            owner.route = route_template(owner.prefix)
        return callback(scope, *channel)

    return note_and_call
