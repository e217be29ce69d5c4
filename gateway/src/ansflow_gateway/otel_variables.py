"""Those of OpenTelemetry's standard variables that the gateway reads itself.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from ansflow_gateway.domain.urls import is_http, masked
from ansflow_gateway.errors import ConfigurationError

DEFAULT_SERVICE_NAME: Final = "ansflow-gateway"
DEFAULT_ENDPOINT: Final = "http://localhost:4318"
DEFAULT_INTERVAL_MS: Final = "5000"
"""A twelfth of the standard's minute: what an event did is to be seen within seconds."""

PROTOCOL: Final = "http/protobuf"

DEFAULT: Final = "default"
"""Origin of what nobody gave."""


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What is taken from OpenTelemetry's own variables.

    Args:
        endpoint: URL that metrics are pushed to; None where none are.
        traces_endpoint: URL that traces are pushed to; None where none are.
        interval_s: Seconds between two pushes.
        service_name: `service.name`.
        resource: Attributes of the resource, as the user gave them.
        origins: The variable that each value came from, or `default`, by the name it is shown under.
    """

    endpoint: str | None
    traces_endpoint: str | None
    interval_s: float
    service_name: str
    resource: Mapping[str, str]
    origins: Mapping[str, str]

    def shown(self) -> dict[str, dict[str, object]]:
        """List the settings for people.

        Returns:
            By name, `value` as a JSON value, secrets masked, and `origin`.
        """
        shown: dict[str, object] = {
            "otlp_metrics_endpoint": self.endpoint and masked(self.endpoint),
            "otlp_traces_endpoint": self.traces_endpoint and masked(self.traces_endpoint),
            "metric_export_interval": self.interval_s,
            "service_name": self.service_name,
            "resource_attributes": dict(self.resource),
        }
        return {name: {"value": value, "origin": self.origins[name]} for name, value in shown.items()}


def read(environ: Mapping[str, str]) -> TelemetrySettings:
    """Read and validate the variables; the SDK would only warn about a wrong one.

    Args:
        environ: The environment; an empty variable counts as not set.

    Returns:
        The settings.

    Raises:
        ConfigurationError: A value can't be used.
    """
    resource = _resource(environ)
    metrics, metrics_origin = _endpoint(environ, "METRICS")
    traces, traces_origin = _endpoint(environ, "TRACES")
    name_origin = "OTEL_RESOURCE_ATTRIBUTES" if "service.name" in resource else ""
    return TelemetrySettings(
        endpoint=metrics,
        traces_endpoint=traces,
        interval_s=_interval(environ),
        service_name=environ.get("OTEL_SERVICE_NAME") or resource.get("service.name", DEFAULT_SERVICE_NAME),
        resource=resource,
        origins=MappingProxyType(
            {
                "otlp_metrics_endpoint": metrics_origin,
                "otlp_traces_endpoint": traces_origin,
                "metric_export_interval": _given(environ, "OTEL_METRIC_EXPORT_INTERVAL") or DEFAULT,
                "service_name": _given(environ, "OTEL_SERVICE_NAME") or name_origin or DEFAULT,
                "resource_attributes": _given(environ, "OTEL_RESOURCE_ATTRIBUTES") or DEFAULT,
            }
        ),
    )


def _endpoint(environ: Mapping[str, str], signal: str) -> tuple[str | None, str]:
    """Find a signal's endpoint, None where it isn't pushed, and what says so."""
    exporter = f"OTEL_{signal}_EXPORTER"
    chosen = environ.get(exporter) or "otlp"
    if chosen not in {"otlp", "none"}:
        raise ConfigurationError(exporter, repr(chosen), "otlp or none")
    if chosen == "none":
        return None, exporter
    protocol = _given(environ, f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol and environ[protocol] != PROTOCOL:
        raise ConfigurationError(protocol, repr(environ[protocol]), PROTOCOL)
    own, base = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    key = _given(environ, own, base)
    url = environ[key] if key else DEFAULT_ENDPOINT
    if not is_http(url):
        raise ConfigurationError(key, repr(url), "an http or https URL")
    # The base endpoint gets the signal's path; the signal's own is taken as it is.
    return url if key == own else f"{url.removesuffix('/')}/v1/{signal.lower()}", key or DEFAULT


def _given(environ: Mapping[str, str], *keys: str) -> str:
    """Give the first variable that is set, or an empty text."""
    return next((key for key in keys if environ.get(key)), "")


def _interval(environ: Mapping[str, str]) -> float:
    key = "OTEL_METRIC_EXPORT_INTERVAL"
    text = environ.get(key) or DEFAULT_INTERVAL_MS
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = nan
    if not 10 <= milliseconds <= 86_400_000:
        raise ConfigurationError(key, repr(text), "a number of milliseconds from 10 to 86400000")
    return milliseconds / 1000


def _resource(environ: Mapping[str, str]) -> Mapping[str, str]:
    key = "OTEL_RESOURCE_ATTRIBUTES"
    text = environ.get(key, "")
    attributes: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(key, repr(text), "key=value pairs separated by commas")
        attributes[name.strip()] = unquote(value.strip())
    return MappingProxyType(attributes)
