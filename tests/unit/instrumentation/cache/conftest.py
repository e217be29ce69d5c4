"""A real server for the tests of caches."""

from collections.abc import Iterator

import pytest
from support.redis_server import RedisServer, running_redis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server; each test empties it before its program begins."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server
