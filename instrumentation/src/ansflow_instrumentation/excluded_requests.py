"""An excluded request leaves no spans at all, not even those of the calls that it makes.

contrib passes an excluded request through without a span, so that each database query or outgoing call of a
health check begins a trace of its own (opentelemetry-python-contrib#2140): a few traces a probe, for ever.
Here such a request runs under an unsampled parent, which the default (parent-based) samplers follow, as do
the services that it calls. Metrics and logs are as ever.
"""

import functools
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from opentelemetry import context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from ansflow_instrumentation.import_hooks import when_imported

__all__ = ["leave_excluded_requests_untraced", "unsampled"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ids = RandomIdGenerator()


@contextmanager
def unsampled() -> Iterator[None]:
    """Run the block in a trace that is not sampled."""
    parent = SpanContext(
        _ids.generate_trace_id(),
        _ids.generate_span_id(),
        is_remote=False,
        trace_flags=TraceFlags.get_default(),
    )
    token = context.attach(set_span_in_context(NonRecordingSpan(parent)))
    try:
        yield
    finally:
        context.detach(token)


def leave_excluded_requests_untraced() -> None:
    """Run the requests that contrib's ASGI and Django middleware exclude in unsampled traces."""
    when_imported("opentelemetry.instrumentation.asgi", _wrap_asgi)
    when_imported("opentelemetry.instrumentation.django.middleware.otel_middleware", _wrap_django)


def _wrap_asgi(asgi: ModuleType) -> None:
    handle = asgi.OpenTelemetryMiddleware.__call__

    @functools.wraps(handle)
    async def handle_untraced_if_excluded(
        middleware: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        excluded = middleware.excluded_urls
        if scope["type"] in ("http", "websocket") and excluded:
            _, _, url = asgi.get_host_port_url_tuple(scope)
            if excluded.url_disabled(url):
                with unsampled():
                    await middleware.app(scope, receive, send)
                return
        await handle(middleware, scope, receive, send)

    asgi.OpenTelemetryMiddleware.__call__ = handle_untraced_if_excluded


def _wrap_django(otel_middleware: ModuleType) -> None:
    middleware_class = otel_middleware._DjangoMiddleware
    handle = middleware_class.__call__

    @functools.wraps(handle)
    def handle_untraced_if_excluded(middleware: Any, request: Any) -> Any:
        if middleware._excluded_urls.url_disabled(request.build_absolute_uri("?")):
            with unsampled():
                return middleware.get_response(request)
        return handle(middleware, request)

    middleware_class.__call__ = handle_untraced_if_excluded
