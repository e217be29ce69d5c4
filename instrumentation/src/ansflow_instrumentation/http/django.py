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
from ansflow_instrumentation.http.telemetry import telemetry_of
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.ownership import OWNED

__all__ = ["instrument_django"]

NOTED = "_ansflow_noted"
"""Marks a callback that notes its route."""

PREFIX = "ansflow.channels_prefix"
"""Key in the scope of the patterns of the routers above; Channels copies the scope for each."""


def instrument_django() -> None:
    """Record the requests of Django, and the WebSockets of Channels, once they are imported."""
    when_imported("django.core.handlers.wsgi", _own_wsgi_requests)
    when_imported("django.core.handlers.asgi", _own_asgi_requests)
    when_imported("django.core.handlers.base", _note_routes)
    when_imported("django.core.signals", _note_exceptions)
    when_imported("channels.routing", _own_websockets)


def _own_wsgi_requests(module: ModuleType) -> None:
    call = module.WSGIHandler.__call__

    @functools.wraps(call)
    def record(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        # Not before the first request: the providers are set up then.
        telemetry = None if OWNED in environ else telemetry_of("DJANGO")
        if telemetry is None:
            return call(self, environ, start_response)
        return wsgi.serve(telemetry, environ, start_response, functools.partial(call, self))

    module.WSGIHandler.__call__ = record


def _own_asgi_requests(module: ModuleType) -> None:
    call = module.ASGIHandler.__call__

    @functools.wraps(call)
    async def record(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = OWNED not in scope and scope["type"] == "http"
        telemetry = telemetry_of("DJANGO") if is_ours else None
        if telemetry is None:
            await call(self, scope, receive, send)
        else:
            await asgi.serve(telemetry, scope, receive, send, functools.partial(call, self))

    module.ASGIHandler.__call__ = record


def _owner_of(request: Any) -> Any:
    source = getattr(request, "scope", None) or getattr(request, "environ", None) or {}
    return source.get(OWNED)


def _root_of(owner: Any, request: Any) -> str:
    """Give where Django is: mounted in another application, or under a prefix of the server's."""
    root: str = owner.mounted_at
    if not root:
        scope = getattr(request, "scope", None)
        root = scope.get("root_path", "") if scope is not None else request.environ.get("SCRIPT_NAME", "")
    return root.rstrip("/")


def _note_routes(module: ModuleType) -> None:
    resolve = module.BaseHandler.resolve_request

    @functools.wraps(resolve)
    def resolve_and_note(self: Any, request: Any) -> Any:
        match = resolve(self, request)
        owner = _owner_of(request)
        route = getattr(request.resolver_match, "route", None)
        if owner is not None and owner is not True and isinstance(route, str):
            owner.route = _root_of(owner, request) + route_template(route)
        return match

    module.BaseHandler.resolve_request = resolve_and_note


def _note_exceptions(module: ModuleType) -> None:
    def note(request: Any = None, **_: Any) -> None:
        owner, error = _owner_of(request), sys.exception()
        if owner is not None and owner is not True and error is not None:
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
        is_ours = OWNED not in scope and scope["type"] == "websocket"
        telemetry = telemetry_of("DJANGO") if is_ours else None
        if telemetry is None:
            await call(self, scope, receive, send)
        else:
            await websocket.serve(telemetry, scope, receive, send, functools.partial(call, self))

    router.__call__ = record


def _note_websocket_routes(router: Any) -> None:
    init = router.__init__

    @functools.wraps(init)
    def init_and_wrap(self: Any, routes: Any) -> None:
        init(self, routes)
        for route in self.routes:
            if not hasattr(route.callback, NOTED):  # a list of routes may be given to several routers
                route.callback = _noting(route)

    router.__init__ = init_and_wrap


def _noting(route: Any) -> Any:
    callback, pattern = route.callback, str(route.pattern)

    @functools.wraps(callback, updated=())
    def note_and_call(scope: Scope, *channel: Any) -> Any:
        owner = scope.get(OWNED)
        if owner is not None and owner is not True:
            prefix = scope[PREFIX] = scope.get(PREFIX, "") + pattern
            owner.route = route_template(prefix)
        return callback(scope, *channel)

    setattr(note_and_call, NOTED, True)
    return note_and_call
