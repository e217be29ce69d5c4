"""What every server of requests shares: the spans, the meters, the settings, and the end of a request."""

import os
from collections.abc import Mapping
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, Tracer

from ansflow_instrumentation.http.incoming import Parent
from ansflow_instrumentation.http.instruments import HttpMeters, KindSeries, WebSocketMeters
from ansflow_instrumentation.http.settings import HttpSettings
from ansflow_instrumentation.spans.fast import FastSpan
from ansflow_instrumentation.spans.server import ServerSpans
from ansflow_instrumentation.version import __version__

__all__ = ["HttpTelemetry", "complete_span", "error_name"]

SCOPE_NAME = "ansflow_instrumentation.http"
"""Name of the instrumentation scope."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"


class HttpTelemetry:
    """The telemetry of one framework's requests.

    Args:
        tracer: Starts the spans.
        meter: Makes the instruments.
        settings: What the user set.

    Attributes:
        spans: Starts SERVER spans.
        http: Meters of requests.
        websocket: Meters of WebSockets.
        settings: What the user set.
        parent: Extracts parents.
    """

    __slots__ = ("http", "parent", "settings", "spans", "websocket")

    def __init__(self, tracer: Tracer, meter: Meter, settings: HttpSettings) -> None:
        self.spans = ServerSpans(tracer)
        self.http = HttpMeters(meter)
        self.websocket = WebSocketMeters(meter)
        self.settings = settings
        self.parent = Parent()

    @classmethod
    def of(cls, framework: str) -> "HttpTelemetry":
        """Make a framework's telemetry of the global providers and the environment.

        Args:
            framework: As in `OTEL_PYTHON_<FRAMEWORK>_EXCLUDED_URLS`.

        Returns:
            The telemetry.
        """
        return cls(
            trace.get_tracer(SCOPE_NAME, __version__, schema_url=SCHEMA_URL),
            metrics.get_meter(SCOPE_NAME, __version__, schema_url=SCHEMA_URL),
            HttpSettings.of(framework, os.environ),
        )

    def series(self, kind: tuple[Any, ...]) -> KindSeries:
        """Give the series of a kind of request.

        Args:
            kind: The fields of `Kind`.

        Returns:
            Its series.
        """
        return self.http.by_kind.get(kind) or self.http.of(kind)


def exemplar_context(span: Span) -> SpanContext | None:
    """Give the context that an exemplar may point to.

    Args:
        span: A request's, not yet ended.

    Returns:
        The span's context if the span will be exported, else None.
    """
    context = span.get_span_context()
    return context if context.trace_flags & 1 and span.is_recording() else None


def complete_span(
    span: Span,
    name: str,
    attributes: Mapping[str, Any],
    end_time: int,
    error: str | None = None,
) -> None:
    """End a request's span.

    Args:
        span: The span; recording or not.
        name: Its final name.
        attributes: What is known at the end.
        end_time: ns since the epoch.
        error: Class of the error if the request failed.
    """
    if not span.is_recording():
        return
    if error is not None:
        span.set_status(Status(StatusCode.ERROR))
    if isinstance(span, FastSpan):
        span.complete(name, attributes, end_time)
    else:
        span.update_name(name)
        span.set_attributes(attributes)
        span.end(end_time)


def error_name(error: BaseException) -> str:
    """Name an error's class.

    Args:
        error: The error.

    Returns:
        Its qualified name, as `error.type` and `exception.type` have it.
    """
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
