"""Stores of both kinds, on a real file and in a real PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.postgres import PostgresServer, running_postgres
from support.stores import Place


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL for all tests of stores."""
    with running_postgres() as server:
        yield server


@pytest.fixture
async def file_place(tmp_path: Path) -> AsyncIterator[Place]:
    """Give a place for a SQLite file."""
    async with AsyncExitStack() as stack:
        yield Place(str(tmp_path / "events.db"), stack)


@pytest.fixture
async def database_place(postgres: PostgresServer) -> AsyncIterator[Place]:
    """Give an empty PostgreSQL database."""
    postgres.create_database("events")
    async with AsyncExitStack() as stack:
        yield Place(postgres.url("events"), stack)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> Place:
    """Give a place of each kind, in turn."""
    names: dict[str, str] = {"sqlite": "file_place", "postgres": "database_place"}
    found: Place = request.getfixturevalue(names[request.param])
    return found
