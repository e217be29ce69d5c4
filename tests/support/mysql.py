"""A server that speaks MySQL's protocol, for tests: mysql-mimic parses MySQL, and SQLite executes it.

Run as a script, it is the server; the tests run it in a process of its own.
"""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mysql_mimic import MysqlServer, Session
from mysql_mimic.errors import ErrorCode, MysqlError

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support.instrumented_service import free_port

__all__ = ["MySqlServer", "running_mysql"]


@dataclass(frozen=True)
class MySqlServer:
    """A running server that trusts everybody, and has each database that is asked for.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        host: 127.0.0.1.
        user: A name that it takes, without a password.
    """

    port: int
    host: str = "127.0.0.1"
    user: str = "root"

    def url(self, database: str, scheme: str = "mysql+aiomysql") -> str:
        """Give a database's URL.

        Args:
            database: Its name.
            scheme: SQLAlchemy's.

        Returns:
            The URL.
        """
        return f"{scheme}://{self.user}@{self.host}:{self.port}/{database}"


@contextlib.contextmanager
def running_mysql() -> Iterator[MySqlServer]:
    """Run the server until the block ends.

    Yields:
        The server, once it takes connections.
    """
    port = free_port()
    server = subprocess.Popen([sys.executable, __file__, str(port)], stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == b"ready\n", "the MySQL server did not start"
        yield MySqlServer(port)
    finally:
        server.terminate()
        server.wait(timeout=30)
        server.stdout.close()


class _Databases:
    """SQLite databases in memory, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, sqlite3.Connection] = {}

    def __getitem__(self, name: str) -> sqlite3.Connection:
        if name not in self._by_name:
            self._by_name[name] = sqlite3.connect(":memory:", isolation_level=None)
        return self._by_name[name]


class _Session(Session):  # type: ignore[misc] # untyped
    """One client's connection."""

    def __init__(self, databases: _Databases) -> None:
        super().__init__()
        self._databases = databases

    async def query(self, expression: Any, sql: str, attrs: Any) -> Any:
        """Execute a statement."""
        statement = expression.sql(dialect="sqlite")
        try:
            cursor = self._databases[self.database or ""].execute(statement)
        except sqlite3.Error as error:
            raise MysqlError(str(error), ErrorCode.PARSE_ERROR) from error
        columns = [column[0] for column in cursor.description or ()]
        return cursor.fetchall(), columns


async def _serve(port: int) -> None:
    databases = _Databases()
    server = MysqlServer(session_factory=lambda: _Session(databases))
    await server.start_server(host="127.0.0.1", port=port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
