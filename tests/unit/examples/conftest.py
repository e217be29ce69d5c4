"""Real servers on free ports of the loopback address."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

Launch = Callable[[list[str], dict[str, str]], "subprocess.Popen[bytes]"]
Sink = tuple[str, list[list[dict[str, object]]], deque[int]]


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that finds a port nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """Return a function that starts a Python module as a process; all of them are stopped in the end."""
    logs = tmp_path_factory.mktemp("logs")
    processes: list[subprocess.Popen[bytes]] = []

    def start(arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        with (logs / f"{len(processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=kept | {"PYTHONUNBUFFERED": "1"} | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=logs,
            )
        processes.append(process)
        return process

    yield start
    for process in reversed(processes):
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for log in sorted(logs.glob("*.log")):
        print(f"--- {log.name}\n{log.read_text()[-4000:]}")  # noqa: T201 - pytest shows it where a test failed


@pytest.fixture(scope="session")
def answers() -> Callable[[str], httpx.Response]:
    """Return a function that waits until an address gives any answer, and returns that."""

    def wait(url: str) -> httpx.Response:
        end = time.monotonic() + 60
        while True:
            try:
                return httpx.get(url, timeout=10, trust_env=False)
            except httpx.HTTPError as error:
                if time.monotonic() > end:
                    raise AssertionError(f"{url} gives no answer") from error
            time.sleep(0.1)

    return wait


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    """Return a real event sink: its address, the batches it took, and the statuses it answers with next."""
    batches: list[list[dict[str, object]]] = []
    statuses: deque[int] = deque()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/cloudevents-batch+json"
            batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = statuses.popleft() if statuses else 202
            if status < 300:
                batches.append(batch)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/events", batches, statuses
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], object]], object]:
    """Return a function that calls another until it returns something true, and returns that."""

    def wait(condition: Callable[[], object]) -> object:
        end = time.monotonic() + 30
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < end, f"still {value!r}"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for databases."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def unused_redis_url(free_port: Callable[[], int]) -> str:
    """Return the address of a Redis that nobody runs."""
    return f"redis://127.0.0.1:{free_port()}/0"
