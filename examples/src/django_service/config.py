"""What the service is told by its environment."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from platform_events.token import token_from
from redis.backoff import NoBackoff
from redis.retry import Retry


class ConfigError(ValueError):
    """A variable's value is not what it has to be."""


@dataclass(frozen=True, slots=True)
class Config:
    """The service's configuration.

    Args:
        database: The entry of Django's `DATABASES`.
        cache: The entry of Django's `CACHES`.
        pipelines_url: Base address of the pipeline service (runs).
        event_sink_url: Where domain events are posted; `None` for nowhere.
        event_sink_token: The bearer token that goes with them; `None` for none.
        secret_key: Django's secret; a new one at each start where none is given: nothing is signed with it.
        allowed_hosts: Host names that requests may be for.
        log_level: Level of the root logger.
    """

    # Django's settings are dictionaries of anything.
    database: dict[str, Any]
    cache: dict[str, Any]
    pipelines_url: str
    event_sink_url: str | None
    event_sink_token: str | None = field(repr=False)
    secret_key: str
    allowed_hosts: tuple[str, ...]
    log_level: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Config":
        """Read the configuration.

        Args:
            environment: Variables by name; empty values count as absent.

        Returns:
            The configuration, defaults filled in.

        Raises:
            ConfigError: A value is not usable; the message names the variable and the value.
        """

        def get(name: str, default: str = "") -> str:
            return environment.get(name, "").strip() or default

        log_level = get("LOG_LEVEL", "INFO").upper()
        if log_level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ConfigError(f"LOG_LEVEL: expected the name of a level, got {log_level!r}")
        hosts = tuple(host.strip() for host in get("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(","))
        return cls(
            database=database(get("DATABASE_URL"), data_dir=Path(get("DATA_DIR", ".run"))),
            cache=cache(get("REDIS_URL")),
            pipelines_url=_http_url(
                "FASTAPI_SERVICE_URL", get("FASTAPI_SERVICE_URL", "http://127.0.0.1:8001")
            ),
            event_sink_url=_http_url("EVENT_SINK_URL", get("EVENT_SINK_URL"))
            if get("EVENT_SINK_URL")
            else None,
            event_sink_token=_event_sink_token(environment),
            secret_key=get("SECRET_KEY") or secrets.token_urlsafe(50),
            allowed_hosts=hosts,
            log_level=log_level,
        )


def database(url: str, *, data_dir: Path) -> dict[str, Any]:
    """Return Django's settings for a database address.

    Args:
        url: `sqlite:///…` or `postgresql://user:password@host:port/name?option=value`; empty for a SQLite
            file in the data directory.
        data_dir: Where that file is.

    Returns:
        The entry of `DATABASES`.

    Raises:
        ConfigError: The scheme is not one of those.
    """
    scheme, separator, rest = url.partition("://")
    if not url or (scheme == "sqlite" and separator):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(
                Path(unquote(rest.removeprefix("/"))) if url else (data_dir / "django.sqlite3").absolute()
            ),
            "OPTIONS": {
                # Readers go on while one worker writes; writers wait for each other from the start.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
                "transaction_mode": "IMMEDIATE",
                "timeout": 10,
            },
        }
    if scheme not in {"postgres", "postgresql"} or not separator:
        # The value is not repeated: it may hold a password.
        raise ConfigError(
            f"DATABASE_URL: expected sqlite:///… or postgresql://…, got the scheme {scheme[:20]!r}"
        )
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        # The error repeats what it takes for the port: a part of a password that is not escaped.
        raise ConfigError("DATABASE_URL: expected a port from 0 to 65535 after the host") from None
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 3} | dict(parse_qsl(parts.query)),
    }


def cache(url: str) -> dict[str, Any]:
    """Return Django's settings for a cache address.

    Args:
        url: `redis://…`; empty for each process's own memory.

    Returns:
        The entry of `CACHES`.

    Raises:
        ConfigError: The scheme is not Redis's.
    """
    if not url:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 1000}}
    if urlsplit(url).scheme not in {"redis", "rediss"}:
        raise ConfigError(
            f"REDIS_URL: expected redis://… or rediss://…, got the scheme {urlsplit(url).scheme!r}"
        )
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": "django",
        "OPTIONS": {
            "socket_timeout": 1.0,
            "socket_connect_timeout": 1.0,
            # A request must not wait for a Redis that is away: one more try at once, for a stale connection.
            "retry": Retry(NoBackoff(), 1),
        },
    }


def _event_sink_token(environment: Mapping[str, str]) -> str | None:
    try:
        return token_from(environment)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _http_url(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _has_port(parts):
        raise ConfigError(f"{name}: expected an http(s) URL, got {url!r}")
    return url.rstrip("/")


def _has_port(parts: SplitResult) -> bool:
    """Tell whether the port, if there is one, is a number that a port can have."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False
