"""The effective settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ansflow_gateway import otel_variables
from ansflow_gateway.config import values
from ansflow_gateway.config.sources import Given, resolve
from ansflow_gateway.config.values import SWITCH, YEARS_S, is_loopback
from ansflow_gateway.domain.urls import MASK, masked
from ansflow_gateway.otel_variables import DEFAULT, TelemetrySettings
from ansflow_gateway.web.secrets import SecretSetting, signing_key
from ansflow_gateway.web.tls import TlsFiles

_LEVELS: Final = {name: name for name in ("debug", "info", "warning", "error")}
_FORMATS: Final = {name: name for name in ("logfmt", "json")}
_PASSWORD: Final = re.compile(r"((?:^|[?&])[a-z]*password=)[^&]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective settings; see `OPTIONS` for their meaning. Times are in seconds.

    `store` is the path of an SQLite file, or the URL of a PostgreSQL database as text. `origins` has, by the
    option's name, the flag, the variable or the file's key that a value came from, or `default`.
    """

    host: str
    port: int
    tls: TlsFiles | None
    store: Path | str
    retention: float
    dedup_window: int
    queue_limit: int
    spool: Path
    spool_quota: int
    run_deadline: float
    start_deadline: float
    gauge_ttl: float
    active_window: float
    series_limit: int
    push_delay: float
    services: Mapping[str, str]
    probe_interval: float
    probe_deadline: float
    availability_objective: float
    sample_interval: float
    drain_deadline: float
    flush_deadline: float
    token: str | None
    tokens_file: Path | None
    allow_unauthenticated: bool
    github_secret: SecretSetting | None
    gitlab_token: SecretSetting | None
    gitlab_signing_secret: SecretSetting | None
    jenkins_token: SecretSetting | None
    prometheus_url: str | None
    grafana_url: str | None
    trace_url: str | None
    log_level: str
    log_format: str
    telemetry: TelemetrySettings
    origins: Mapping[str, str]

    def shown(self) -> dict[str, dict[str, object]]:
        """List the effective settings for people.

        Returns:
            By name, `value` as a JSON value, secrets masked, and `origin`.
        """
        own: dict[str, object] = {
            name: getattr(self, name)
            for name in self.__slots__
            if name not in {"tls", "telemetry", "origins"}
        }
        own["services"] = {name: masked(url) for name, url in self.services.items()}
        own["token"] = MASK if self.token else None
        own["tls_cert"] = self.tls and self.tls.certificate
        own["tls_key"] = self.tls and self.tls.key
        for name in ("prometheus_url", "grafana_url", "trace_url"):
            own[name] = masked(str(own[name])) if own[name] else None
        if isinstance(self.store, str):
            own["store"] = _PASSWORD.sub(rf"\1{MASK}", masked(self.store))
        shown = {name: {"value": _json(value), "origin": self._origin(name)} for name, value in own.items()}
        return shown | self.telemetry.shown()

    def _origin(self, name: str) -> str:
        origin = self.origins[name]
        # A secret's file is given by an option of its own.
        beside = self.origins.get(name + "_file", origin)
        return beside if origin == DEFAULT else origin


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
    given = resolve(flags, environ)
    store = values.store(given["store"], lambda: values.state_directory(environ) / "gateway.sqlite3")
    settings = Settings(
        host=values.host(given["host"]),
        port=values.whole(given["port"], 0, 65535),
        tls=values.tls_files(given["tls_cert"], given["tls_key"]),
        store=store,
        retention=values.seconds(given["retention"], YEARS_S, 60),
        dedup_window=values.whole(given["dedup_window"], 1, 10_000_000),
        queue_limit=values.whole(given["queue_limit"], 1, 10_000_000),
        spool=values.path(given["spool"], lambda: _beside(store, environ)),
        spool_quota=values.whole(given["spool_quota"], 0, 2**40),
        run_deadline=values.seconds(given["run_deadline"], YEARS_S, 1),
        start_deadline=values.seconds(given["start_deadline"]),
        gauge_ttl=values.seconds(given["gauge_ttl"], YEARS_S, 1),
        active_window=values.seconds(given["active_window"], YEARS_S),
        series_limit=values.whole(given["series_limit"], 1, 1_000_000),
        push_delay=values.seconds(given["push_delay"], 3600),
        services=values.services(given["services"]),
        probe_interval=values.seconds(given["probe_interval"]),
        probe_deadline=values.seconds(given["probe_deadline"]),
        availability_objective=values.share(given["availability_objective"]),
        sample_interval=values.seconds(given["sample_interval"]),
        drain_deadline=values.seconds(given["drain_deadline"]),
        flush_deadline=values.seconds(given["flush_deadline"]),
        token=values.token(given["token"], given["token_file"]),
        tokens_file=values.tokens_file(given["tokens_file"]),
        allow_unauthenticated=values.one_of(given["allow_unauthenticated"], SWITCH),
        github_secret=_secret(given, "github_secret"),
        gitlab_token=_secret(given, "gitlab_token"),
        gitlab_signing_secret=values.secret(
            given["gitlab_signing_secret"], given["gitlab_signing_secret_file"], signing_key
        ),
        jenkins_token=_secret(given, "jenkins_token"),
        prometheus_url=values.url(given["prometheus_url"]),
        grafana_url=values.url(given["grafana_url"]),
        trace_url=values.trace_url(given["trace_url"]),
        log_level=values.one_of(given["log_level"], _LEVELS),
        log_format=values.one_of(given["log_format"], _FORMATS),
        telemetry=otel_variables.read(environ),
        origins=MappingProxyType({name: value.origin for name, value in given.items()}),
    )
    protected = settings.token or settings.tokens_file or settings.allow_unauthenticated
    if not (protected or is_loopback(settings.host)):
        raise given["host"].wrong(
            "a loopback address, unless there are tokens (--tokens-file, --token-file) or "
            "--allow-unauthenticated is given"
        )
    return settings


def _secret(given: Mapping[str, Given], name: str) -> SecretSetting | None:
    return values.secret(given[name], given[name + "_file"])


def _beside(store: Path | str, environ: Mapping[str, str]) -> Path:
    return (
        store if isinstance(store, Path) else values.state_directory(environ) / "gateway.sqlite3"
    ).with_suffix(".spool")


def _json(value: object) -> object:
    match value:
        case Path():
            return str(value)
        case SecretSetting():
            return str(value.file) if value.file else MASK
        case _:
            return value
