"""The database: engine, sessions, schema."""

import asyncio
import logging
import sqlite3
from pathlib import Path

from ansflow_instrumentation.health import Check, sqlalchemy_check
from sqlalchemy import Connection, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session

from fastapi_service.models import Base, Project
from fastapi_service.seed import seed_projects

logger = logging.getLogger(__name__)

UNREACHABLE = (DBAPIError, PoolTimeoutError, OSError)
"""What a database that is away raises: connection errors of some drivers come through as they are."""

OUR_FAULT = (IntegrityError, DataError, ProgrammingError)
"""What a database that is there raises for statements it cannot carry out."""

_SCHEMA_LOCK = 0x616E7366
"""PostgreSQL's advisory lock for whoever makes the schema."""

_RETRY_S = 2.0


class Database:
    """A database and the sessions on it.

    Args:
        url: SQLAlchemy address with an async driver.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine = _engine(url)
        self.session: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self._engine, expire_on_commit=False
        )

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    async def prepare(self) -> None:
        """Make the schema and the first projects where they are absent; processes take turns at it.

        Raises:
            DBAPIError: The database refused.
            OSError: The database cannot be reached.
        """
        if self.dialect == "sqlite" and self._url.database:
            await asyncio.to_thread(Path(self._url.database).parent.mkdir, parents=True, exist_ok=True)
        async with self._engine.begin() as connection:
            await self._lock_schema(connection)
            await connection.run_sync(_create_and_seed)

    async def prepare_until_done(self) -> None:
        """Prepare; where the database cannot be used yet, try again until it can."""
        failures = 0
        while True:
            try:
                await self.prepare()
                break
            except UNREACHABLE as error:
                failures += 1
                if failures == 1:
                    logger.warning(
                        "database cannot be used yet, trying again every %g s: %s", _RETRY_S, error
                    )
                await asyncio.sleep(_RETRY_S)
        if failures:
            logger.info("database is ready after %d failed attempts", failures)

    def check(self) -> Check:
        """Return the check of whether a table can be read."""
        return sqlalchemy_check(self._engine, statement=select(Project.id).limit(1))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    async def _lock_schema(self, connection: AsyncConnection) -> None:
        if self.dialect == "sqlite":
            # The driver would begin its transaction at the first change only: too late to take turns.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})


def _create_and_seed(connection: Connection) -> None:
    Base.metadata.create_all(connection)
    with Session(connection) as session:
        if session.scalar(select(Project.id).limit(1)) is None:
            session.add_all(seed_projects())
        session.commit()


def _engine(url: str) -> AsyncEngine:
    if not url.startswith("sqlite"):
        return create_async_engine(url, pool_size=10, max_overflow=10, pool_pre_ping=True, pool_timeout=10)
    engine = create_async_engine(
        url, pool_size=5, max_overflow=5, pool_timeout=10, connect_args={"timeout": 10}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        # Readers go on while one writes, and writers wait for each other instead of failing.
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
