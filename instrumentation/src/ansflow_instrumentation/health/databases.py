"""Checks of databases, by the pools and connections that the application itself uses."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, cast

from ansflow_instrumentation.health.checks import Check

if TYPE_CHECKING:
    from sqlalchemy import Engine, Executable
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["AsyncpgPool", "asyncpg_check", "django_database_check", "sqlalchemy_check"]


class AsyncpgPool(Protocol):
    """What a check needs of an `asyncpg.Pool`."""

    def acquire(self) -> AbstractAsyncContextManager[Any]:
        """Lend a connection for a block."""


def sqlalchemy_check(
    engine: "Engine | AsyncEngine",
    *,
    statement: "Executable | None" = None,
    name: str = "database",
    critical: bool = True,
    ready: bool = True,
) -> Check:
    """Check a database by a connection of an engine's pool.

    Args:
        engine: A sync or an async one.
        statement: What is executed; None for `SELECT 1`. One that reads from a table finds a missing schema
            too.
        name: As for `Check`.
        critical: As for `Check`.
        ready: As for `Check`.

    Returns:
        The check.

    Example:
        >>> from sqlalchemy import create_engine
        >>> check = sqlalchemy_check(create_engine("sqlite://"))
        >>> check.call()
    """
    from sqlalchemy import select
    from sqlalchemy.ext.asyncio import AsyncEngine

    executed = select(1) if statement is None else statement

    async def execute_async() -> None:
        async with cast(AsyncEngine, engine).connect() as connection:
            await connection.execute(executed)

    def execute() -> None:
        with cast("Engine", engine).connect() as connection:
            connection.execute(executed)

    call = execute_async if isinstance(engine, AsyncEngine) else execute
    return Check(name, call, critical, ready, "datastore")


def asyncpg_check(
    pool: AsyncpgPool, *, name: str = "database", critical: bool = True, ready: bool = True
) -> Check:
    """Check a PostgreSQL database by a connection of an asyncpg pool, on the pool's event loop.

    Args:
        pool: The pool.
        name: As for `Check`.
        critical: As for `Check`.
        ready: As for `Check`.

    Returns:
        The check.
    """

    async def execute() -> None:
        async with pool.acquire() as connection:
            await connection.execute("SELECT 1")

    return Check(name, execute, critical, ready, "datastore")


def django_database_check(
    alias: str = "default",
    *,
    query: Callable[[], object] | None = None,
    name: str = "database",
    critical: bool = True,
    ready: bool = True,
) -> Check:
    """Check one of Django's databases, by a connection of its own, as Django's belong to threads.

    Args:
        alias: The entry of `DATABASES`.
        query: Is called once the connection is there, `User.objects.exists` say, which finds a missing schema
            too; None for the backend's own test.
        name: As for `Check`.
        critical: As for `Check`.
        ready: As for `Check`.

    Returns:
        The check.
    """

    def connect() -> None:
        from django.db import connections

        connection = connections[alias]
        try:
            connection.ensure_connection()
            if query is not None:
                query()
            elif not connection.is_usable():
                raise ConnectionError
        finally:
            connection.close()

    return Check(name, connect, critical, ready, "datastore")
