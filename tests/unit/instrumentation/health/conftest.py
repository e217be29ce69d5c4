"""Real servers without telemetry, and real dependencies, one of which never answers."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.instrumented_service import free_port

APPLICATIONS = Path(__file__).parent / "applications"

StartServer = Callable[..., str]


class Silence:
    """A TCP server that takes connections, and never says anything.

    Attributes:
        url: Its address.
        connections: Those that were taken, in order.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                self.connections.append(self._listener.accept()[0])

    def hang_up(self) -> None:
        """Close all connections that were taken so far."""
        for connection in self.connections:
            connection.close()

    def close(self) -> None:
        """Stop listening, and hang up."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.hang_up()


@pytest.fixture
def silence() -> Iterator[Silence]:
    """A dependency that never answers."""
    server = Silence()
    yield server
    server.close()


@pytest.fixture
def answering() -> Iterator[str]:
    """The address of a dependency that answers with the status in the path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.strip("/")))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers as `python -m …`, `{port}` standing for a free port; they end with the test."""
    with contextlib.ExitStack() as running:

        def start(*command: str, **environment: str) -> str:
            port = free_port()
            log = tmp_path / f"server-{port}.log"
            with log.open("wb") as sink:
                process = subprocess.Popen(
                    [sys.executable, "-m", *(part.format(port=port) for part in command)],
                    env={**os.environ, "PYTHONPATH": str(APPLICATIONS), **environment},
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    cwd=tmp_path,
                )
            running.callback(_end, process)
            _wait_for_port(port, process, log)
            return f"http://127.0.0.1:{port}"

        yield start


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}:\n{log.read_text()}")
