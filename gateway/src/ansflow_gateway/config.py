"""The gateway's settings: every flag has a twin in the environment, and flags win."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from math import nan
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from ansflow_gateway import otel_variables
from ansflow_gateway.domain.urls import MASK, is_http, masked
from ansflow_gateway.errors import ConfigurationError
from ansflow_gateway.otel_variables import TelemetrySettings

PREFIX: Final = "ANSFLOW_GATEWAY_"

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as the user gives it.

    Args:
        name: Its name; the flag and the variable are made of it.
        default: Default as text; empty where there is none.
        help: One sentence for `--help`.
        secret: Whether its value must not be shown.
        switch: Whether the flag takes no value.
    """

    name: str
    default: str
    help: str
    secret: bool = False
    switch: bool = False

    @property
    def flag(self) -> str:
        """The flag, such as `--probe-interval`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable, such as `ANSFLOW_GATEWAY_PROBE_INTERVAL`."""
        return PREFIX + self.name.upper()


OPTIONS: Final = (
    Option("host", "127.0.0.1", "Address to listen on."),
    Option("port", "8080", "Port to listen on; 0 takes a free one."),
    Option("services", "", "Services to probe: name=URL of a health endpoint, separated by commas."),
    Option("probe_interval", "10", "Seconds between two probes of a service."),
    Option("probe_deadline", "5", "Seconds that one probe may take."),
    Option("sample_interval", "5", "Seconds between two samples of the host."),
    Option("active_window", "3600", "Seconds for which a project counts as active after a finished run."),
    Option("series_limit", "1000", "Label sets that producers may bring about in one instrument."),
    Option("dedup_window", "100000", "Events remembered, so that a duplicate is known."),
    Option("drain_deadline", "10", "Seconds that requests under way are given at the end."),
    Option("flush_deadline", "5", "Seconds that the last push of metrics is given at the end."),
    Option("token", "", "Bearer token that requests must carry, /health aside.", secret=True),
    Option("token_file", "", "File that holds the token."),
    Option("allow_unauthenticated", "no", "Listen beyond loopback without a token.", switch=True),
    Option("log_level", "info", "debug, info, warning or error."),
    Option("log_format", "logfmt", "logfmt or json."),
)
"""All settings of the command line, in the order of `--help`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective settings; see `OPTIONS` for their meaning. Times are in seconds."""

    host: str
    port: int
    services: Mapping[str, str]
    probe_interval: float
    probe_deadline: float
    sample_interval: float
    active_window: float
    series_limit: int
    dedup_window: int
    drain_deadline: float
    flush_deadline: float
    token: str | None
    allow_unauthenticated: bool
    log_level: str
    log_format: str
    telemetry: TelemetrySettings

    def shown(self) -> dict[str, object]:
        """List the effective settings for people.

        Returns:
            JSON values by name, secrets masked.
        """
        telemetry = {
            "otlp_metrics_endpoint": self.telemetry.endpoint and masked(self.telemetry.endpoint),
            "metric_export_interval": self.telemetry.interval_s,
            "service_name": self.telemetry.service_name,
            "resource_attributes": dict(self.telemetry.resource),
        }
        own = {name: getattr(self, name) for name in self.__slots__ if name != "telemetry"}
        services = {name: masked(url) for name, url in self.services.items()}
        return own | {"services": services, "token": MASK if self.token else None} | telemetry


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and where it came from, so that a refusal can name it."""

    key: str
    text: str
    secret: bool

    def wrong(self, expected: str) -> ConfigurationError:
        return ConfigurationError(self.key, MASK if self.secret else repr(self.text), expected)


def load(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Resolve and validate all settings.

    Args:
        flags: Values of flags by option name; None where a flag isn't given.
        environ: The environment; an empty variable counts as not set.

    Returns:
        The settings.

    Raises:
        ConfigurationError: A value can't be used.
    """
    given = {option.name: _resolve(option, flags, environ) for option in OPTIONS}
    settings = Settings(
        host=_host(given["host"]),
        port=_whole(given["port"], 0, 65535),
        services=_services(given["services"]),
        probe_interval=_seconds(given["probe_interval"]),
        probe_deadline=_seconds(given["probe_deadline"]),
        sample_interval=_seconds(given["sample_interval"]),
        active_window=_seconds(given["active_window"]),
        series_limit=_whole(given["series_limit"], 1, 1_000_000),
        dedup_window=_whole(given["dedup_window"], 1, 10_000_000),
        drain_deadline=_seconds(given["drain_deadline"]),
        flush_deadline=_seconds(given["flush_deadline"]),
        token=_token(given["token"], given["token_file"]),
        allow_unauthenticated=_one_of(given["allow_unauthenticated"], _SWITCH),
        log_level=_one_of(given["log_level"], {n: n for n in ("debug", "info", "warning", "error")}),
        log_format=_one_of(given["log_format"], {n: n for n in ("logfmt", "json")}),
        telemetry=otel_variables.read(environ),
    )
    if not (settings.token or settings.allow_unauthenticated or is_loopback(settings.host)):
        raise given["host"].wrong(
            "a loopback address, unless a token (--token-file) or --allow-unauthenticated is given"
        )
    return settings


def is_loopback(host: str) -> bool:
    """Tell whether an address is reachable from this host alone.

    Args:
        host: An address, or a name, of which only `localhost` is trusted.

    Returns:
        Whether it is.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_SWITCH: Final[Mapping[str, bool]] = MappingProxyType(
    {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
)
_SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{16,512}", re.ASCII)


def _resolve(option: Option, flags: Mapping[str, str | None], environ: Mapping[str, str]) -> _Given:
    flag = flags.get(option.name)
    if flag is not None:
        return _Given(option.flag, flag, option.secret)
    variable = environ.get(option.variable)
    if variable:
        return _Given(option.variable, variable, option.secret)
    return _Given(option.flag, option.default, option.secret)


def _host(given: _Given) -> str:
    if not _HOST.fullmatch(given.text):
        raise given.wrong("an address or a host's name")
    return given.text


def _whole(given: _Given, low: int, high: int) -> int:
    expected = f"a whole number from {low} to {high}"
    if not (given.text.isascii() and given.text.isdigit() and len(given.text) < 10):
        raise given.wrong(expected)
    number = int(given.text)
    if not low <= number <= high:
        raise given.wrong(expected)
    return number


def _seconds(given: _Given) -> float:
    try:
        number = float(given.text)
    except ValueError:
        number = nan
    if not 0.01 <= number <= 604_800:
        raise given.wrong("a number of seconds from 0.01 to 604800")
    return number


def _one_of(given: _Given, choices: Mapping[str, ValueT]) -> ValueT:
    try:
        return choices[given.text.lower()]
    except KeyError:
        raise given.wrong("one of " + ", ".join(choices)) from None


def _services(given: _Given) -> Mapping[str, str]:
    expected = "name=URL pairs separated by commas, with names of letters, digits and ._- and http(s) URLs"
    services: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in given.text.split(","))):
        name, _, url = pair.partition("=")
        if not (_SERVICE_NAME.fullmatch(name) and is_http(url)):
            raise given.wrong(expected)
        if name in services:
            raise given.wrong(f"each name once, not {name!r} twice")
        services[name] = url
    return MappingProxyType(services)


def _token(direct: _Given, file: _Given) -> str | None:
    if direct.text and file.text:
        raise file.wrong(f"nothing where {direct.key} is given too")
    given = direct
    if file.text:
        try:
            given = _Given(file.key, Path(file.text).read_text(encoding="utf-8").strip(), secret=True)
        except (OSError, UnicodeDecodeError) as error:
            raise file.wrong(f"a readable text file ({error})") from error
        if not given.text:
            raise file.wrong("a file that isn't empty")
    if not given.text:
        return None
    if not _TOKEN.fullmatch(given.text):
        raise given.wrong("16 to 512 printable ASCII characters without spaces")
    return given.text
