"""Starts real servers under `opentelemetry-instrument`, sends requests, and ends what it started."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from support.otlp_receiver import OtlpReceiver


@dataclass(frozen=True)
class Answer:
    """What a service answered."""

    status: int
    body: str


@dataclass(frozen=True)
class Service:
    """A running server.

    Attributes:
        url: Where it listens.
        process: The process that was started.
        output: The file that takes its standard output and error.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    output: Path

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one GET request, on a connection of its own."""
        request = urllib.request.Request(self.url + path, headers=dict(headers or {}))  # noqa: S310 # loopback
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 # as above
                return Answer(response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())

    def get_many(self, path: str, times: int) -> list[Answer]:
        """Send as many GET requests, eight at a time."""
        with ThreadPoolExecutor(8) as senders:
            return list(senders.map(self.get, [path] * times))

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> str:
        """Signal the process that was started, wait for its end, and return what it wrote."""
        self.process.send_signal(sig)
        self.process.wait(timeout=30)
        return self.output.read_text()


class StartService(Protocol):
    """Starts a server under `opentelemetry-instrument` that ends with the test."""

    def __call__(
        self, *command: str, variables: Mapping[str, str] | None = None, bin_dir: Path | None = None
    ) -> Service:
        """Start `command`, in which `{port}` stands for a free port, with these environment variables."""


def free_port() -> int:
    """Find a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Endpoint(Protocol):
    """What takes OTLP over HTTP: a receiver, or a Collector."""

    @property
    def endpoint(self) -> str:
        """Value of OTEL_EXPORTER_OTLP_ENDPOINT."""


def telemetry_environment(
    receiver: Endpoint, import_path: Path, variables: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Make an environment without telemetry variables of the machine's own.

    Args:
        receiver: Where to export to.
        import_path: Where the application is found.
        variables: More variables, which win.

    Returns:
        The whole environment.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "ANSFLOW_", "_ANSFLOW", "FASTAPI_", "DJANGO_", "PYTHONPATH"))
    }
    return {
        **inherited,
        "PYTHONPATH": str(import_path),
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        **(variables or {}),
    }


@contextlib.contextmanager
def serving(
    command: list[str],
    port: int,
    environment: Mapping[str, str],
    output: Path,
    *,
    bin_dir: Path | None = None,
) -> Iterator[Service]:
    """Run a server under `opentelemetry-instrument` until the block ends.

    Args:
        command: A console script of the environment, and its arguments.
        port: Where it will listen.
        environment: From `telemetry_environment`.
        output: File for its standard output and error.
        bin_dir: Scripts of another Python environment; this one's by default.

    Yields:
        The service, once it takes connections.
    """
    scripts = bin_dir or Path(sys.executable).parent
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [scripts / "opentelemetry-instrument", *command],
            env={**environment, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=output.parent,
        )
    try:
        _wait_for_port(port, process, output)
        yield Service(f"http://127.0.0.1:{port}", process, output)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def starting_services(receiver: OtlpReceiver, import_path: Path, directory: Path) -> Iterator[StartService]:
    """Offer to start servers that export to the receiver, and end them with the block.

    Args:
        receiver: Where they export to.
        import_path: Where the applications are found.
        directory: Where they run and write their output.

    Yields:
        The function that starts one.
    """
    with contextlib.ExitStack() as running:

        def start_service(
            *command: str, variables: Mapping[str, str] | None = None, bin_dir: Path | None = None
        ) -> Service:
            port = free_port()
            server = serving(
                [part.format(port=port) for part in command],
                port,
                telemetry_environment(receiver, import_path, {**_own_state(directory), **(variables or {})}),
                directory / f"server-{port}.log",
                bin_dir=bin_dir,
            )
            return running.enter_context(server)

        yield start_service


def run_python(
    program: str,
    receiver: OtlpReceiver,
    directory: Path,
    *,
    variables: Mapping[str, str] | None = None,
    import_path: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a program under `opentelemetry-instrument` to its end.

    Args:
        program: Python source.
        receiver: Where it exports to.
        directory: Where it runs.
        variables: Environment variables.
        import_path: A folder to import from.

    Returns:
        The finished process, with its output.
    """
    scripts = Path(sys.executable).parent
    return subprocess.run(
        [scripts / "opentelemetry-instrument", sys.executable, "-c", program],
        env=telemetry_environment(
            receiver, import_path or directory, {**_own_state(directory), **(variables or {})}
        ),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _own_state(directory: Path) -> dict[str, str]:
    """Keep what workers leave to each other with the test."""
    return {"ANSFLOW_STATE_DIR": str(directory / "state")}


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"the server does not listen on {port}:\n{output.read_text()}")
