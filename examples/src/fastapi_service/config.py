"""What the service is told by its environment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from platform_events.token import token_from


class ConfigError(ValueError):
    """A variable's value is not what it has to be."""


@dataclass(frozen=True, slots=True)
class Config:
    """The service's configuration.

    Args:
        database_url: SQLAlchemy address with an async driver.
        redis_url: Where the cache is; `None` for this process's memory.
        management_url: Base address of the management service (users, projects, settings).
        registry_url: Base address of the outside artifact registry.
        event_sink_url: Where domain events are posted; `None` for nowhere.
        event_sink_token: The bearer token that goes with them; `None` for none.
        stage_time_factor: Stretches (or shortens) the simulated work of a stage.
        stage_failure_share: How many of the simulated stages fail, 0 to 1.
        simulation_seed: Seed of the simulated work; `None` for a new one at each start.
        max_parallel_runs: How many runs work at the same time; more wait in the queue.
        log_level: Level of the root logger.
    """

    database_url: str
    redis_url: str | None
    management_url: str
    registry_url: str
    event_sink_url: str | None
    event_sink_token: str | None = field(repr=False)
    stage_time_factor: float
    stage_failure_share: float
    simulation_seed: int | None
    max_parallel_runs: int
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

        def number(name: str, default: float, low: float, high: float) -> float:
            text = get(name, str(default))
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not low <= value <= high:
                raise ConfigError(f"{name}: expected a number from {low:g} to {high:g}, got {text!r}")
            return value

        def whole(name: str, default: int, low: int, high: int) -> int:
            value = number(name, default, low, high)
            if value != int(value):
                raise ConfigError(f"{name}: expected a whole number, got {get(name)!r}")
            return int(value)

        def base_url(name: str, default: str) -> str:
            url = get(name, default)
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or not _has_port(parts):
                raise ConfigError(f"{name}: expected an http(s) URL, got {url!r}")
            return url.rstrip("/")

        log_level = get("LOG_LEVEL", "INFO").upper()
        if log_level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ConfigError(f"LOG_LEVEL: expected the name of a level, got {log_level!r}")
        return cls(
            database_url=database_url(get("DATABASE_URL"), data_dir=Path(get("DATA_DIR", ".run"))),
            redis_url=get("REDIS_URL") or None,
            management_url=base_url("DJANGO_SERVICE_URL", "http://127.0.0.1:8000"),
            registry_url=base_url("OUTSIDE_SERVICE_URL", "http://127.0.0.1:8010"),
            event_sink_url=base_url("EVENT_SINK_URL", "") if get("EVENT_SINK_URL") else None,
            event_sink_token=_event_sink_token(environment),
            stage_time_factor=number("STAGE_TIME_FACTOR", 1.0, 0.0, 100.0),
            stage_failure_share=number("STAGE_FAILURE_SHARE", 0.03, 0.0, 1.0),
            simulation_seed=whole("SIMULATION_SEED", 0, 0, 2**31) if get("SIMULATION_SEED") else None,
            max_parallel_runs=whole("MAX_PARALLEL_RUNS", 8, 1, 1000),
            log_level=log_level,
        )


def _event_sink_token(environment: Mapping[str, str]) -> str | None:
    try:
        return token_from(environment)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _has_port(parts: SplitResult) -> bool:
    """Tell whether the port, if there is one, is a number that a port can have."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}


def database_url(url: str, *, data_dir: Path) -> str:
    """Return the SQLAlchemy address for a plain database address.

    Args:
        url: `sqlite:///…` or `postgresql://…`; empty for a SQLite file in the data directory.
        data_dir: Where that file is.

    Returns:
        The address with its async driver.

    Raises:
        ConfigError: The scheme is not one of those.
    """
    if not url:
        return f"sqlite+aiosqlite:///{(data_dir / 'fastapi.sqlite3').absolute()}"
    scheme, separator, rest = url.partition("://")
    driver = _ASYNC_DRIVERS.get(scheme)
    if not separator or driver is None:
        # The value is not repeated: it may hold a password.
        raise ConfigError(
            f"DATABASE_URL: expected sqlite:///… or postgresql://…, got the scheme {scheme[:20]!r}"
        )
    return f"{driver}://{rest}"
