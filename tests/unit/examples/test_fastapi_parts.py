"""The FastAPI service's parts that need no server: configuration, cache, simulation."""

import random
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

import pytest
from fastapi_service.cache import LocalCache, RedisCache
from fastapi_service.config import Config, ConfigError, database_url
from fastapi_service.simulation import Simulation
from redis.exceptions import ConnectionError as RedisConnectionError


def test_config_has_defaults(tmp_path: Path) -> None:
    """With nothing but a data directory the service uses SQLite there, local memory, and no event sink."""
    config = Config.from_environment({"DATA_DIR": str(tmp_path)})
    assert config.database_url == f"sqlite+aiosqlite:///{tmp_path}/fastapi.sqlite3"
    assert config.redis_url is None
    assert config.event_sink_url is None
    assert config.management_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40@db:5432/ci", "postgresql+asyncpg://u:p%40@db:5432/ci"),
        ("postgres://db/ci", "postgresql+asyncpg://db/ci"),
        ("sqlite:////var/lib/ci.sqlite3", "sqlite+aiosqlite:////var/lib/ci.sqlite3"),
    ],
)
def test_database_url_gets_an_async_driver(url: str, expected: str) -> None:
    """Plain database addresses work: the driver is the service's business."""
    assert database_url(url, data_dir=Path("unused")) == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "mysql://root:hunter2@db/x", "got the scheme 'mysql'"),
        ("DJANGO_SERVICE_URL", "localhost:8000", "got 'localhost:8000'"),
        ("EVENT_SINK_URL", "kafka://x", "got 'kafka://x'"),
        ("DJANGO_SERVICE_URL", "http://127.0.0.1:http", "got 'http://127.0.0.1:http'"),
        ("EVENT_SINK_URL", "http://127.0.0.1:99999", "got 'http://127.0.0.1:99999'"),
        ("STAGE_TIME_FACTOR", "fast", "got 'fast'"),
        ("STAGE_FAILURE_SHARE", "1.5", "from 0 to 1, got '1.5'"),
        ("STAGE_TIME_FACTOR", "nan", "got 'nan'"),
        ("MAX_PARALLEL_RUNS", "2.5", "a whole number, got '2.5'"),
        ("LOG_LEVEL", "loud", "got 'LOUD'"),
    ],
)
def test_config_names_the_bad_variable(name: str, value: str, message: str) -> None:
    """A value that cannot be used stops the start with the variable's name; passwords are not repeated."""
    with pytest.raises(ConfigError) as caught:
        Config.from_environment({name: value})
    assert str(caught.value).startswith(f"{name}: expected")
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_local_cache_forgets() -> None:
    """Entries are gone when their time is up, when they are deleted, and when the cache is full."""
    now = 0.0
    cache = LocalCache(capacity=2, clock=lambda: now)
    await cache.set("a", {"x": 1}, ttl_s=10)
    await cache.set("b", 2, ttl_s=100)
    assert await cache.get("a") == {"x": 1}
    await cache.set("c", 3, ttl_s=100)
    assert await cache.get("b") is None
    now = 10.0
    assert await cache.get("a") is None
    await cache.delete("c")
    assert await cache.get("c") is None


async def test_redis_that_is_away_is_a_cache_that_misses(unused_redis_url: str) -> None:
    """A Redis that nobody runs neither gives nor takes, and only the health check says so."""
    cache = RedisCache(unused_redis_url)
    await cache.set("a", 1, ttl_s=10)
    assert await cache.get("a") is None
    await cache.delete("a")
    with pytest.raises(RedisConnectionError):
        await cast(Awaitable[None], cache.check().call())
    await cache.close()


@pytest.mark.parametrize(("share", "expected"), [(0.0, [None, None, None]), (1.0, ["checkout_failed"])])
def test_simulated_work_ends_with_the_first_failure(share: float, expected: list[str | None]) -> None:
    """A plan has all stages where none fails, and stops at the first that does."""
    chance = random.Random(1)  # noqa: S311 - simulated work is no secret
    simulation = Simulation(chance, time_factor=0.5, failure_share=share)
    works = simulation.plan(["checkout", "test", "something-else"])
    assert [work.error_type for work in works] == expected
    assert 0.025 <= works[0].seconds <= 0.125


def test_simulation_is_the_same_for_the_same_seed() -> None:
    """The seed decides the work."""
    chances = [random.Random(7), random.Random(7)]  # noqa: S311 - simulated work is no secret
    plans = [Simulation(chance, 1.0, 0.3).plan(["build", "test", "deploy"]) for chance in chances]
    assert plans[0] == plans[1]
