"""The ready-made checks, each with the real dependency, there and away."""

import asyncio
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
import redis
import redis.asyncio
from ansflow_instrumentation.health import (
    Check,
    Status,
    asyncpg_check,
    http_check,
    redis_check,
    sqlalchemy_check,
)
from ansflow_instrumentation.health.checks import Outcome
from ansflow_instrumentation.health.flights import Flights
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from support.instrumented_service import free_port
from support.postgres import PostgresServer
from support.redis_server import RedisServer, running_redis

from .conftest import Silence


async def outcome(check: Check, deadline_s: float = 20) -> Outcome:
    """Run one check."""
    return (await Flights(deadline_s, 0).outcomes([check]))[0]


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


async def test_sqlalchemy(tmp_path: Path) -> None:
    """Sync and async engines are asked in their own way; a statement of one's own finds a missing table."""
    sync_engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite3")
    async_engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/a.sqlite3")
    missing = text("SELECT 1 FROM orders")
    for engine, is_async in ((sync_engine, False), (async_engine, True)):
        check = sqlalchemy_check(engine)
        assert check.is_async is is_async
        assert (check.key, check.component_type) == ("database:responseTime", "datastore")
        assert (await outcome(check)).status is Status.PASS
        failed = await outcome(sqlalchemy_check(engine, statement=missing))
        assert (failed.status, failed.output) == (Status.FAIL, "OperationalError")
    sync_engine.dispose()
    await async_engine.dispose()


async def test_asyncpg(postgres: PostgresServer) -> None:
    """A pool passes while it lends connections, and fails at the deadline where all of them are lent."""
    async with asyncpg.create_pool(postgres.url(), min_size=1, max_size=1) as pool:
        assert (await outcome(asyncpg_check(pool))).status is Status.PASS
        async with pool.acquire():
            late = await outcome(asyncpg_check(pool), deadline_s=0.2)
        assert (late.status, late.output) == (Status.FAIL, "no answer within 0.2 s")
        assert (await outcome(asyncpg_check(pool))).status is Status.PASS


async def test_redis(redis_server: RedisServer) -> None:
    """Sync and async clients are asked in their own way; a Redis that is away is a warning."""
    away = f"redis://127.0.0.1:{free_port()}/0"
    with redis.Redis.from_url(redis_server.url()) as client:
        assert not redis_check(client).is_async
        assert (await outcome(redis_check(client))).status is Status.PASS
    async with redis.asyncio.Redis.from_url(redis_server.url()) as async_client:
        assert redis_check(async_client).is_async
        assert (await outcome(redis_check(async_client))).status is Status.PASS
    with redis.Redis.from_url(away) as client:
        assert (await outcome(redis_check(client))).status is Status.WARN
    async with redis.asyncio.Redis.from_url(away) as async_client:
        failed = await outcome(redis_check(async_client))
        assert (failed.status, failed.output) == (Status.WARN, "ConnectionError")


async def test_http(answering: str, silence: Silence) -> None:
    """By httpx, sync or async, and by the standard library: statuses below 400 pass, silence is late."""
    away = f"http://127.0.0.1:{free_port()}/"
    with httpx.Client(trust_env=False) as client:
        async with httpx.AsyncClient(trust_env=False) as async_client:
            for asked in (None, client, async_client):
                assert http_check(answering, client=asked).is_async is (asked is async_client)
                assert (await outcome(http_check(f"{answering}/204", client=asked))).status is Status.PASS
                for status in (404, 503):
                    failed = await outcome(http_check(f"{answering}/{status}", client=asked))
                    assert (failed.status, failed.output) == (Status.WARN, f"HTTP {status}")
                refused = await outcome(http_check(away, client=asked, critical=True))
                assert refused.status is Status.FAIL
                assert refused.output == ("ConnectionRefusedError" if asked is None else "ConnectError")
                late = await outcome(http_check(silence.url, client=asked), deadline_s=0.2)
                assert late.output == "no answer within 0.2 s"
            # The threads that hang are freed before their clients go.
            silence.hang_up()
            await asyncio.sleep(0)


@pytest.mark.parametrize("url", ["ftp://example.com", "/health/live", "http://u:hunter2@example.com/"])
def test_an_address_that_cannot_be_asked(url: str) -> None:
    """Without a client an address has to be http(s), without a password; the error does not repeat it."""
    with pytest.raises(ValueError, match="expected an http") as caught:
        http_check(url)
    assert url not in str(caught.value)


@pytest.mark.parametrize("module", ["databases", "starlette", "fastapi", "django"])
def test_examples_in_docstrings_run(module: str) -> None:
    """What the docstrings show is what happens."""
    documented = importlib.import_module(f"ansflow_instrumentation.health.{module}")
    results = doctest.testmod(documented)
    assert results.attempted > 0
    assert results.failed == 0
