"""Those of OpenTelemetry's standard variables that the gateway reads itself.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from ansflow_gateway.domain.urls import is_http
from ansflow_gateway.errors import ConfigurationError

DEFAULT_SERVICE_NAME: Final = "ansflow-gateway"
DEFAULT_ENDPOINT: Final = "http://localhost:4318"
DEFAULT_INTERVAL_MS: Final = "5000"
"""A twelfth of the standard's minute: what an event did is to be seen within seconds."""

PROTOCOL: Final = "http/protobuf"


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What is taken from OpenTelemetry's own variables.

    Args:
        endpoint: URL that metrics are pushed to; None where nothing is pushed.
        interval_s: Seconds between two pushes.
        service_name: `service.name`.
        resource: Attributes of the resource, as the user gave them.
    """

    endpoint: str | None
    interval_s: float
    service_name: str
    resource: Mapping[str, str]


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
    return TelemetrySettings(
        endpoint=_endpoint(environ) if _pushes(environ) else None,
        interval_s=_interval(environ),
        service_name=environ.get("OTEL_SERVICE_NAME") or resource.get("service.name", DEFAULT_SERVICE_NAME),
        resource=resource,
    )


def _pushes(environ: Mapping[str, str]) -> bool:
    for key in ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = environ.get(key)
        if protocol and protocol != PROTOCOL:
            raise ConfigurationError(key, repr(protocol), PROTOCOL)
        if protocol:
            break
    exporter = environ.get("OTEL_METRICS_EXPORTER") or "otlp"
    if exporter not in {"otlp", "none"}:
        raise ConfigurationError("OTEL_METRICS_EXPORTER", repr(exporter), "otlp or none")
    return exporter == "otlp"


def _endpoint(environ: Mapping[str, str]) -> str:
    key, path = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", ""
    if not environ.get(key):
        key, path = "OTEL_EXPORTER_OTLP_ENDPOINT", "/v1/metrics"
    url = environ.get(key) or DEFAULT_ENDPOINT
    if not is_http(url):
        raise ConfigurationError(key, repr(url), "an http or https URL")
    return url.removesuffix("/") + path if path else url


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
