"""What the HTTP clients share: one CLIENT span and one duration point for each call of the application.

A call is what the application asked for: redirects, authentication and a transport's own retries are part of
it. It lasts until the client gives the response: with its body, if the client reads that by itself (httpx and
requests, unless told to stream), else with its headers. The URL is on the span only.

Sources:
    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
    https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpclientrequestduration
"""

from collections.abc import Callable, Mapping, MutableMapping
from time import perf_counter
from typing import Any, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.context import Context, get_current
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.propagate import inject
from opentelemetry.trace import set_span_in_context
from opentelemetry.util.http import (
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST,
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE,
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS,
    get_custom_header_attributes,
    get_custom_headers,
    get_excluded_urls,
    normalise_request_header_name,
    normalise_response_header_name,
    sanitize_method,
)

from ansflow_instrumentation.business import current_integration_type
from ansflow_instrumentation.clients.urls import Server, redacted, server_of
from ansflow_instrumentation.conventions import HTTP_BOUNDS, SCHEMA_URL, error_name, sampled_context
from ansflow_instrumentation.recording import HistogramSeries
from ansflow_instrumentation.spans.client import ClientSpans
from ansflow_instrumentation.survive import report_once
from ansflow_instrumentation.version import __version__

__all__ = ["Call", "Calls"]

SCOPE_NAME = "ansflow_instrumentation.clients"
"""Name of the instrumentation scope."""

RECORDING = "Recording an HTTP call"

OTHER = "_OTHER"
"""What a method that is not HTTP's is counted as, so that methods are few."""


class _Kind(NamedTuple):
    """What distinguishes the series of calls.

    Attributes:
        method: Known method, or `_OTHER`.
        server: Who is called.
        status: Status code of the response, if there is one.
        error: Class of the error, or the status of a refusal; None if the call did not fail.
        integration: Which integration it is a call of, where the application's `integration_call` counts it:
            whoever counts calls by their hosts leaves it out.
    """

    method: str
    server: Server
    status: int | None
    error: str | None
    integration: str | None

    def attributes(self) -> dict[str, Any]:
        """Give the attributes of `http.client.request.duration`."""
        attributes: dict[str, Any] = {"http.request.method": self.method}
        if self.server.address is not None:
            attributes["server.address"] = self.server.address
        if self.server.port is not None:
            attributes["server.port"] = self.server.port
        if self.status is not None:
            attributes["http.response.status_code"] = self.status
        if self.error is not None:
            attributes["error.type"] = self.error
        if self.integration is not None:
            attributes["ansflow.integration.type"] = self.integration
        return attributes


class Calls:
    """Begins the calls of one client library.

    Args:
        library: Its name in `OTEL_PYTHON_<library>_EXCLUDED_URLS`.
    """

    def __init__(self, library: str) -> None:
        self.spans = ClientSpans(trace.get_tracer(SCOPE_NAME, __version__, schema_url=SCHEMA_URL))
        meter = metrics.get_meter(SCOPE_NAME, __version__, schema_url=SCHEMA_URL)
        self.durations: HistogramSeries[_Kind] = HistogramSeries(
            meter.create_histogram(
                "http.client.request.duration",
                "s",
                "Duration of HTTP client requests.",
                explicit_bucket_boundaries_advisory=HTTP_BOUNDS,
            ),
            _Kind.attributes,
        )
        self._excluded = get_excluded_urls(library)
        self.request_headers = get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST)
        self.response_headers = get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE)
        self.sensitive_headers = get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS)

    def begin(self, method: str, url: str, headers: MutableMapping[str, Any]) -> "Call | None":
        """Begin a call, and propagate its trace.

        Args:
            method: As the application writes it.
            url: Absolute.
            headers: Of the request; the propagators' are added.

        Returns:
            The call; None where it is not recorded. What goes wrong here or with the call is one warning.
        """
        try:
            if not is_http_instrumentation_enabled() or self._excluded.url_disabled(url):
                return None
            return Call(self, method, url, headers)
        except Exception:  # noqa: BLE001 # whatever it is, the client tells the application
            report_once(RECORDING)
            return None

    def captured_headers(
        self, headers: Mapping[str, Any], names: list[str], normalise: Callable[[str], str]
    ) -> dict[str, Any]:
        """Give the attributes of the headers that the user wants to see.

        Args:
            headers: Of a request or a response.
            names: Expressions for their names.
            normalise: Names the attribute of a header.

        Returns:
            Attributes; none where an expression is not one.
        """
        try:
            return get_custom_header_attributes(headers, names, self.sensitive_headers, normalise)
        except Exception:  # noqa: BLE001 # the call is recorded without them
            report_once("Capturing headers of HTTP calls")
            return {}


class Call:
    """A call under way.

    Args:
        calls: The library's instruments.
        method: As the application writes it.
        url: Absolute.
        headers: Of the request.
    """

    __slots__ = ("_calls", "_integration", "_method", "_server", "_span", "_started")

    def __init__(self, calls: Calls, method: str, url: str, headers: MutableMapping[str, Any]) -> None:
        self._calls = calls
        self._method = sanitize_method(method.strip())
        self._server = server_of(url)
        self._integration = current_integration_type()

        def attributes() -> dict[str, Any]:
            known = _Kind(self._method, self._server, None, None, self._integration).attributes()
            known["url.full"] = redacted(url)
            if self._method == OTHER:
                known["http.request.method_original"] = method
            if calls.request_headers:
                known |= calls.captured_headers(headers, calls.request_headers, normalise_request_header_name)
            return known

        current = get_current()
        self._span = calls.spans.start(self._name, current, attributes)
        inject(headers, set_span_in_context(self._span, current))
        self._started = perf_counter()

    def context(self) -> Context:
        """Give the context with the call's span as the current one.

        Returns:
            For what the client does within the call.
        """
        return set_span_in_context(self._span)

    @property
    def _name(self) -> str:
        return "HTTP" if self._method == OTHER else self._method

    def end(self, status: int | None, headers: Mapping[str, Any]) -> None:
        """Record a call that was answered.

        Args:
            status: The response's, if it has one.
            headers: The response's.
        """
        try:
            known: dict[str, Any] = {}
            calls = self._calls
            if calls.response_headers and self._span.is_recording():
                known = calls.captured_headers(
                    headers, calls.response_headers, normalise_response_header_name
                )
            self._finish(status, str(status) if status is not None and status >= 400 else None, known)
        except Exception:  # noqa: BLE001 # the application has its response
            report_once(RECORDING)

    def fail(self, error: BaseException) -> None:
        """Record a call that was not answered, or whose answer the client turned into an error.

        Args:
            error: What the application gets.
        """
        try:
            status = getattr(error, "status", None)  # aiohttp's, where it raises for one
            if isinstance(status, int) and status >= 400:
                self._finish(status, str(status), {})
            else:
                self._finish(None, error_name(error), {})
        except Exception:  # noqa: BLE001 # the application gets the error
            report_once(RECORDING)

    def _finish(self, status: int | None, error: str | None, known: dict[str, Any]) -> None:
        duration_s = perf_counter() - self._started
        span = self._span
        if status is not None:
            known["http.response.status_code"] = status
        if error is not None:
            known["error.type"] = error
        self._calls.spans.end(span, self._name, known, failed=error is not None)
        kind = _Kind(self._method, self._server, status, error, self._integration)
        self._calls.durations.record(kind, duration_s, sampled_context(span))
