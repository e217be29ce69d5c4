"""The tables of a store in PostgreSQL, and connections that keep what they confirm.

`ansflow_journal` has a row an event; the unique constraints are what makes an event known, whichever gateway
took it. `ansflow_progress` has one row: the schema's version, the position that `ansflow_state` includes, and
the epoch, which grows with each change of the leader.
"""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from ansflow_gateway.errors import StoreRefusedError

APPEND_LOCK: Final = 0x414E5301
"""First half of the advisory lock that orders commits; the second half is the schema."""

LEAD_LOCK: Final = 0x414E5302
"""First half of the advisory lock that the leader holds."""

MIGRATE_LOCK: Final = 0x414E5303
"""First half of the advisory lock of who makes or migrates the tables."""

CONNECT_TIMEOUT_S: Final = 5.0
"""Seconds that making a connection may take."""

COMMAND_TIMEOUT_S: Final = 30.0
"""Seconds that a command may take; then the connection is given up."""

_SESSION: Final = {
    "application_name": "ansflow-gateway",
    # A gateway that hangs with the append lock in its hand must not stop the others.
    "idle_in_transaction_session_timeout": "10s",
    # A leader whose host is gone: the server finds out in 25 s, not in 2 hours, and lets the lock go.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

_MIGRATIONS: Final[Sequence[str]] = (
    """
    CREATE TABLE ansflow_journal (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        received_at double precision NOT NULL,
        delivery bytea NOT NULL UNIQUE,
        semantic bytea UNIQUE,
        event bytea NOT NULL
    );
    CREATE TABLE ansflow_state (key bytea PRIMARY KEY, value bytea NOT NULL);
    CREATE TABLE ansflow_progress (
        id integer PRIMARY KEY CHECK (id = 1),
        version integer NOT NULL,
        epoch bigint NOT NULL,
        state_position bigint NOT NULL,
        compacted_position bigint NOT NULL
    );
    INSERT INTO ansflow_progress VALUES (1, 1, 0, 0, 0);
    """,
)
"""The script that leads from each schema version to the next; a version is never changed, only added."""

Connection = Any
"""asyncpg publishes no types."""


async def connect(url: str) -> Connection:
    """Open a connection whose commits are on the disk when they are confirmed.

    Args:
        url: The database.

    Returns:
        The connection.

    Raises:
        OSError: The server can't be reached.
        asyncpg.PostgresError: It refuses.
    """
    connection = await asyncpg.connect(
        url, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S, server_settings=_SESSION
    )
    # A stronger setting (`remote_apply`) is the operator's; a weaker one would lose what was confirmed.
    if await connection.fetchval("SHOW synchronous_commit") in {"off", "local"}:
        await connection.execute("SET synchronous_commit = on")
    return connection


async def migrate(connection: Connection, where: str) -> None:
    """Make the tables, or bring them to the present version.

    Args:
        connection: To the database; gateways that start together wait for each other.
        where: The database, for messages.

    Raises:
        StoreRefusedError: The tables are of a newer version, or aren't a store's.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))", MIGRATE_LOCK)
        found = {
            row["tablename"]
            for row in await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
                " AND tablename IN ('ansflow_journal', 'ansflow_state', 'ansflow_progress')"
            )
        }
        version = 0
        if found:
            if len(found) < 3:
                raise StoreRefusedError(
                    f"the store {where} is incomplete: of its tables there is only "
                    f"{', '.join(sorted(found))}; restore a backup, or drop these to start from zero"
                )
            version = await connection.fetchval("SELECT version FROM ansflow_progress")
            if version is None:
                raise StoreRefusedError(
                    f"the store {where} is corrupt: ansflow_progress is empty; restore a backup"
                )
        if version > len(_MIGRATIONS):
            raise StoreRefusedError(
                f"the store {where} has schema version {version}, and this gateway knows {len(_MIGRATIONS)}: "
                "run the gateway that wrote it, or a newer one"
            )
        for script in _MIGRATIONS[version:]:
            await connection.execute(script)
        await connection.execute(
            "UPDATE ansflow_progress SET version = $1 WHERE version < $1", len(_MIGRATIONS)
        )
