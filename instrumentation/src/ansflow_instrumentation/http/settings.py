"""What users set for HTTP telemetry, by the variables of OpenTelemetry's own instrumentations."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from opentelemetry.util.http import (
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS,
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST,
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE,
    ExcludeList,
    SanitizeValue,
    get_custom_headers,
    get_excluded_urls,
    normalise_request_header_name,
    normalise_response_header_name,
)

__all__ = [
    "HEALTH_PATHS",
    "OPERATIONAL_PATHS",
    "CapturedHeaders",
    "Exclusion",
    "HttpSettings",
    "captured_headers",
    "known_methods",
]

KNOWN_METHODS_VARIABLE = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"

DEFAULT_KNOWN_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
"""https://opentelemetry.io/docs/specs/semconv/http/http-spans/, `http.request.method`."""

HEALTH_PATHS = frozenset(
    path + end
    for path in (
        "/health",
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/healthz",
        "/livez",
        "/readyz",
        "/metrics",
    )
    for end in ("", "/")
)
"""Paths that the default exclusion leaves out."""

OPERATIONAL_PATHS = (
    r"^[^:]+://[^/]*/(?:health(?:/(?:live|ready|startup))?|healthz|livez|readyz|metrics)/?\??$"
)
"""Matches the URL of exactly these paths: /health/live, not /healthcare."""


class Exclusion:
    """Decides which requests are left out of request telemetry.

    The default is a look-up in a set; patterns of the user's are matched against the URL without its query,
    as OpenTelemetry's own instrumentations do.

    Args:
        excluded: The user's patterns, or the distro's default.
    """

    def __init__(self, excluded: ExcludeList) -> None:
        patterns = list(excluded._excluded_urls)
        self.paths: frozenset[str] = HEALTH_PATHS if OPERATIONAL_PATHS in patterns else frozenset()
        others = [pattern for pattern in patterns if pattern != OPERATIONAL_PATHS]
        self.pattern: re.Pattern[str] | None = re.compile("|".join(others)) if others else None

    def covers(self, path: str, root_path: str, scheme: str, authority: str) -> bool:
        """Tell whether a request is left out.

        Args:
            path: The URL's path.
            root_path: Where a proxy has mounted the application; its health paths are below.
            scheme: The URL's scheme.
            authority: The URL's host and port.

        Returns:
            Whether nothing is to be recorded.
        """
        if path in self.paths:
            return True
        if root_path and self.paths and path.removeprefix(root_path) in self.paths:
            return True
        return self.pattern is not None and bool(self.pattern.search(f"{scheme}://{authority}{path}"))


@dataclass(frozen=True, slots=True)
class CapturedHeaders:
    """Headers that become span attributes.

    Attributes:
        request: Expressions for the names of request headers.
        response: Likewise of response headers.
        sanitize: Hides the values of some.
    """

    request: list[str]
    response: list[str]
    sanitize: SanitizeValue

    def of_request(self, headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        """Make the attributes of a request's headers.

        Args:
            headers: Names and values.

        Returns:
            `http.request.header.<name>`, each with all its values.
        """
        return self.sanitize.sanitize_header_values(
            _gathered(headers), self.request, normalise_request_header_name
        )

    def of_response(self, headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        """Make the attributes of a response's headers.

        Args:
            headers: Names and values.

        Returns:
            `http.response.header.<name>`, each with all its values.
        """
        return self.sanitize.sanitize_header_values(
            _gathered(headers), self.response, normalise_response_header_name
        )


def _gathered(headers: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    gathered: dict[str, list[str]] = {}
    for name, value in headers:
        gathered.setdefault(name, []).append(value)
    return dict(gathered)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """All settings of one framework.

    Attributes:
        exclusion: Requests that are left out.
        methods: Methods by name; any other is `_OTHER`.
        captured: Headers that become attributes; None for none.
    """

    exclusion: Exclusion
    methods: Mapping[str, str]
    captured: CapturedHeaders | None

    @classmethod
    def of(cls, framework: str, env: Mapping[str, str]) -> "HttpSettings":
        """Read the settings.

        Args:
            framework: As in `OTEL_PYTHON_<FRAMEWORK>_EXCLUDED_URLS`.
            env: The process's environment.

        Returns:
            The settings.
        """
        return cls(
            Exclusion(get_excluded_urls(framework)),
            {method: method for method in known_methods(env)},
            captured_headers(),
        )


def known_methods(env: Mapping[str, str]) -> frozenset[str]:
    """Read which methods are known.

    Args:
        env: The process's environment.

    Returns:
        Names, in upper case as they are on the wire.
    """
    named = {name.strip() for name in env.get(KNOWN_METHODS_VARIABLE, "").split(",")} - {""}
    return frozenset(named) or DEFAULT_KNOWN_METHODS


def captured_headers() -> CapturedHeaders | None:
    """Read which headers to capture.

    Returns:
        The headers, or None where the user named none.

    Raises:
        re.error: If one of the expressions is none.
    """
    request = get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST)
    response = get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE)
    if not request and not response:
        return None
    sanitize = SanitizeValue(get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS))
    captured = CapturedHeaders(request, response, sanitize)
    # An expression that is none raises here, and not in a request.
    captured.of_request([("tried", "")])
    captured.of_response([("tried", "")])
    return captured
