"""A request being served, whatever protocol brought it: what it records at its end.

Source:
    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
"""

from asyncio import CancelledError
from collections.abc import Callable, Mapping
from time import perf_counter_ns, time_ns
from typing import Any

from opentelemetry.context import Context

from ansflow_instrumentation.conventions import error_name
from ansflow_instrumentation.http.telemetry import (
    HttpTelemetry,
    complete_span,
    exemplar_context,
    record_exception,
)
from ansflow_instrumentation.spans.server import context_of

__all__ = ["ServedRequest", "is_departure"]

_CLIENT_GONE = frozenset({"ClientDisconnect", "RequestAborted"})
"""Names of the exceptions by which frameworks end a request whose client went away."""


_VERSIONS = {"2.0": "2", "3.0": "3"}
"""HTTP's versions as some servers write them, and as the semantic conventions do."""


def is_departure(error: BaseException) -> bool:
    """Tell whether an exception says no more than that the client, or the server itself, is going.

    Args:
        error: What left the application.

    Returns:
        Whether it is no failure.
    """
    return isinstance(error, CancelledError | GeneratorExit) or type(error).__name__ in _CLIENT_GONE


def _size(length: str | bytes | None) -> int | None:
    """Read a Content-Length, whatever a client sent: eighteen digits are an exabyte."""
    if length is None or len(length) > 18 or not length.isascii() or not length.isdigit():
        return None
    return int(length)


class ServedRequest:
    """A request from its arrival to its end.

    Args:
        telemetry: Where it is recorded.
        method: As the client sent it.
        scheme: `http` or `https`.
        version: Of HTTP.
        length: The Content-Length header, if there is one.

    Attributes:
        telemetry: Where it is recorded.
        method: Known method, or `_OTHER`.
        scheme: `http` or `https`.
        version: Of HTTP.
        route: Template of the route that took it, or None; set by whoever routes.
        taken_by: The route that was noted last.
        mounted_at: Template of the path at which an application inside is mounted.
        status: Status code of the response, once there is one.
        request_size: Bytes of the request's body, if known.
        response_size: Bytes of the response's body so far; None if unknown.
        captured: Response headers that become attributes.
        ended: When the response's last byte was handed over (`perf_counter_ns`), if it was.
    """

    __slots__ = (
        "_error",
        "_finished",
        "_method",
        "_raised",
        "_span",
        "_started_at",
        "_started_ns",
        "captured",
        "ended",
        "method",
        "mounted_at",
        "request_size",
        "response_size",
        "route",
        "scheme",
        "status",
        "taken_by",
        "telemetry",
        "version",
    )

    def __init__(
        self, telemetry: HttpTelemetry, method: str, scheme: str, version: str, length: str | bytes | None
    ) -> None:
        self.telemetry = telemetry
        self._method = method
        self.method = telemetry.settings.methods.get(method, "_OTHER")
        self.scheme = scheme
        self.version = _VERSIONS.get(version, version)
        self.route: str | None = None
        self.taken_by: object = None
        self.mounted_at = ""
        self.status: int | None = None
        self.request_size = _size(length)
        self.response_size: int | None = 0
        self.captured: Mapping[str, Any] | None = None
        self.ended: int | None = None
        self._error: str | None = None
        self._raised: BaseException | None = None
        self._finished = False
        self._started_ns = time_ns()
        self._started_at = perf_counter_ns()

    def start(self, parent: Context | None, attributes: Callable[[], dict[str, Any]]) -> Context:
        """Start the span, and count the request as active.

        Args:
            parent: Extracted from the headers.
            attributes: Makes the attributes that come from the protocol's own objects.

        Returns:
            The context to serve the request in.
        """
        method = self.method
        self._span = self.telemetry.spans.start(
            "HTTP" if method == "_OTHER" else method,
            parent,
            self._started_ns,
            lambda: self._complete(attributes()),
        )
        self.telemetry.http.active.add(self)
        return context_of(self._span, parent, self)

    def _complete(self, attributes: dict[str, Any]) -> dict[str, Any]:
        attributes["http.request.method"] = self.method
        if self.method == "_OTHER":
            attributes["http.request.method_original"] = self._method
        attributes["network.protocol.version"] = self.version
        if self.request_size is not None:
            attributes["http.request.body.size"] = self.request_size
        return attributes

    def fail(self, error: BaseException) -> None:
        """Note the exception that the request ends with.

        Args:
            error: The exception. One that says that the client went away is no failure of the server's.
        """
        if self._finished or error is self._raised or is_departure(error):
            return
        self._raised = error
        self._error = error_name(error)
        record_exception(self._span, error)

    def finish(self) -> None:
        """Record the request, unless that has been done."""
        if self._finished:
            return
        self._finished = True
        elapsed = (self.ended or perf_counter_ns()) - self._started_at
        status, method, route, error = self.status, self.method, self.route, self._error
        if error is None and status is not None and status >= 500:
            error = str(status)
        telemetry, span, size = self.telemetry, self._span, self.response_size
        telemetry.http.active.discard(self)
        series = telemetry.series((method, self.scheme, self.version, route, status, error))
        exemplar = exemplar_context(span)
        series.duration.record(elapsed / 1e9, exemplar)
        if self.request_size is not None:
            series.request_size.record(self.request_size, exemplar)
        if self._method == "HEAD" and size is not None:
            size = 0  # servers do not send the body that frameworks make
        if status is not None and size is not None:
            series.response_size.record(size, exemplar)
        if not span.is_recording():
            return
        attributes: dict[str, Any] = {}
        if status is not None:
            attributes["http.response.status_code"] = status
            if size is not None:
                attributes["http.response.body.size"] = size
        started_as = name = "HTTP" if method == "_OTHER" else method
        if route is not None:
            attributes["http.route"] = route
            name = f"{name} {route}"
        if error is not None:
            attributes["error.type"] = error
        if self.captured:
            attributes.update(self.captured)
        complete_span(span, started_as, name, attributes, self._started_ns + elapsed, error)
