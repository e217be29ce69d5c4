"""What every server of requests shares: the spans, the meters, the settings, and the end of a request."""

import copy
import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, Tracer

from ansflow_instrumentation.conventions import SCHEMA_URL, sampled_context
from ansflow_instrumentation.http.incoming import Parent
from ansflow_instrumentation.http.instruments import HttpMeters, KindSeries, WebSocketMeters
from ansflow_instrumentation.http.settings import HttpSettings
from ansflow_instrumentation.spans.fast import UNSET, FastSpan
from ansflow_instrumentation.spans.server import ServerSpans
from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.version import __version__

__all__ = [
    "HttpTelemetry",
    "complete_span",
    "exemplar_context",
    "record_exception",
    "telemetry_of",
]

_logger = logging.getLogger(__name__)

SCOPE_NAME = "ansflow_instrumentation.http"
"""Name of the instrumentation scope."""


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

    def with_settings(self, settings: HttpSettings) -> "HttpTelemetry":
        """Give the same telemetry for another framework.

        Args:
            settings: What the user set for it.

        Returns:
            A telemetry with the same instruments: the SDK would ignore the callbacks of a second set.
        """
        other = copy.copy(self)
        other.settings = settings
        return other

    def series(self, kind: tuple[Any, ...]) -> KindSeries:
        """Give the series of a kind of request.

        Args:
            kind: The fields of `Kind`.

        Returns:
            Its series.
        """
        return self.http.by_kind.get(kind) or self.http.of(kind)


_made: dict[str, HttpTelemetry | None] = {}
_making = threading.Lock()


def telemetry_of(framework: str) -> HttpTelemetry | None:
    """Give a framework's telemetry, made of the global providers and the environment at the first call.

    Args:
        framework: As in `OTEL_PYTHON_<FRAMEWORK>_EXCLUDED_URLS`.

    Returns:
        The telemetry; None, after one warning, if it cannot be made: requests are then served unrecorded.
    """
    try:
        return _made[framework]
    except KeyError:
        pass
    with _making:
        if framework not in _made:
            made = None
            with survive(f"Setting up the telemetry of {framework}'s requests"):
                made = _make(framework)
            # Not before it is whole: who finds None meanwhile serves a request unrecorded.
            _made[framework] = made
        return _made[framework]


def _make(framework: str) -> HttpTelemetry:
    settings = HttpSettings.of(framework, os.environ)
    for other in _made.values():
        if other is not None:
            return other.with_settings(settings)
    return HttpTelemetry(
        trace.get_tracer(SCOPE_NAME, __version__, schema_url=SCHEMA_URL),
        metrics.get_meter(SCOPE_NAME, __version__, schema_url=SCHEMA_URL),
        settings,
    )


def _renew_lock() -> None:
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def exemplar_context(span: Span) -> SpanContext | None:
    """Give the context that an exemplar may point to.

    Args:
        span: A request's, not yet ended.

    Returns:
        The span's context if the span will be exported, else None.
    """
    return sampled_context(span) if span.is_recording() else None


def record_exception(span: Span, error: BaseException) -> None:
    """Record an exception on a span, and raise none, whatever its own text does.

    Args:
        span: The span.
        error: The exception.
    """
    if not span.is_recording():
        return
    try:
        span.record_exception(error)
    except Exception:
        _logger.debug("An exception could not be recorded", exc_info=True)


def complete_span(
    span: Span,
    started_as: str,
    name: str,
    attributes: Mapping[str, Any],
    end_time: int,
    error: str | None = None,
) -> None:
    """End a request's span.

    Args:
        span: The span; recording or not.
        started_as: The name that it was started with.
        name: Its final name, unless somebody has given it another one.
        attributes: What is known at the end.
        end_time: ns since the epoch.
        error: Class of the error if the request failed.
    """
    if not span.is_recording():
        return
    # What the application said of the span stays.
    is_renamed = getattr(span, "_name", started_as) != started_as
    if error is not None and getattr(span, "_status", UNSET).status_code is StatusCode.UNSET:
        span.set_status(Status(StatusCode.ERROR))
    if isinstance(span, FastSpan):
        span.complete(span._name if is_renamed else name, attributes, end_time)
    else:
        if not is_renamed:
            span.update_name(name)
        span.set_attributes(attributes)
        span.end(end_time)
