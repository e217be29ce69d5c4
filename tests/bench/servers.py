"""Measures applications behind real servers: uvicorn for FastAPI, gunicorn for Django, one worker each.

The load comes from another process. What counts is the CPU time of all of a server's processes from the end
of one block to the end of the next, so that exports are in it whenever they happen.
"""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from .cpu import tree_cpu_s
from .effort import Effort
from .environment import ROOT, ROUTES_VARIABLE, SETUP_VARIABLE, environment, state_folder
from .progress import report
from .results import Delivery, Measure, Part, Result
from .setups import Framework, Setup
from .sink import Sink
from .telemetry import prometheus_count
from .workloads import Workload

__all__ = ["measure"]

APPLICATION = f"{__package__}.served:app"

COMMANDS = {
    Framework.FASTAPI: ["uvicorn", APPLICATION, "--port", "{port}", "--log-level", "warning"],
    Framework.DJANGO: ["gunicorn", APPLICATION, "--bind", "127.0.0.1:{port}", "--log-level", "warning"],
}

TITLES = {
    Framework.FASTAPI: "FastAPI over uvicorn, one worker",
    Framework.DJANGO: "Django over gunicorn, one sync worker",
}

ARRIVAL_DEADLINE_S = 60
"""A bound on a hang: metrics are exported every ten seconds, spans every five."""


@dataclass
class Contender:
    """A running server and what it measured.

    Attributes:
        setup: What it runs.
        server: The process that was started.
        port: Where it listens.
        sink: Where it exports to.
        sent: Requests answered.
        cpu_s: CPU seconds of its processes at the end of the last block.
        costs: µs a request by workload, one figure a block.
    """

    setup: Setup
    server: "subprocess.Popen[bytes]"
    port: int
    sink: Sink
    sent: int = 0
    cpu_s: float = 0.0
    costs: dict[Workload, list[float]] = field(default_factory=dict)

    def end_block(self, workload: Workload, requests: int) -> None:
        """Scrape what is scraped, and note what the block has cost in all."""
        if self.setup.histogram is not None:
            self._scrape()
        cpu_s = tree_cpu_s(self.server.pid)
        self.costs.setdefault(workload, []).append((cpu_s - self.cpu_s) / requests * 1e6)
        self.cpu_s = cpu_s

    def delivery(self) -> Delivery:
        """Count what has arrived, once all has, or nothing more can come."""
        deadline = time.monotonic() + ARRIVAL_DEADLINE_S
        while (delivery := self._delivered()).problem(self.setup) and time.monotonic() < deadline:
            time.sleep(1)
        return delivery

    def _delivered(self) -> Delivery:
        histogram = self.setup.histogram
        counted = prometheus_count(self._scrape(), histogram) if histogram else self.sink.requests_counted()
        return Delivery(self.sent, self.sink.spans(), counted)

    def _scrape(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as response:
            text: str = response.read().decode()
            return text


@dataclass(frozen=True)
class Client:
    """The running load client."""

    process: "subprocess.Popen[str]"

    def send(self, port: int, workload: Workload, requests: int) -> None:
        """Send so many requests, and wait until all are answered."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the client has no pipes")
        pattern = "spread" if workload.spread else "last"
        self.process.stdin.write(f"{port} {workload.routes} {pattern} {requests}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "done\n":
            raise RuntimeError(f"the client ended with {self.process.wait()}")


def measure(framework: Framework, setups: Sequence[Setup], effort: Effort) -> Part:
    """Measure a framework's set-ups over a real server.

    Args:
        framework: What they instrument.
        setups: The bare application first.
        effort: How much.

    Returns:
        The part of the report.
    """
    results: list[Result] = []
    with TemporaryDirectory() as directory, _client() as client:
        for routes, workloads in effort.by_routes().items():
            results += _measure(setups, routes, workloads, effort, client, Path(directory))
    return Part(f"{framework}-server", TITLES[framework], results)


def _measure(
    setups: Sequence[Setup],
    routes: int,
    workloads: list[Workload],
    effort: Effort,
    client: Client,
    directory: Path,
) -> list[Result]:
    with ExitStack() as running:
        contenders = [
            running.enter_context(_contending(setup, routes, effort, directory)) for setup in setups
        ]
        for contender in contenders:
            _wait_for_port(contender)
        for workload in workloads:
            _run_block(contenders, workload, effort, client)
        for contender in contenders:
            contender.costs.clear()  # that was the warm-up
        for block in range(effort.blocks):
            for workload in workloads:
                report(
                    f"{setups[0].framework}-server: {workload.title}: block {block + 1} of {effort.blocks}"
                )
                _run_block(contenders, workload, effort, client)
        report(f"{setups[0].framework}-server: waiting for the last exports")
        deliveries = [contender.delivery() for contender in contenders]
        return [
            Result(contender.setup, workload, {Measure.PROCESS: contender.costs[workload]}, delivery)
            for workload in workloads
            for contender, delivery in zip(contenders, deliveries, strict=True)
        ]


def _run_block(contenders: list[Contender], workload: Workload, effort: Effort, client: Client) -> None:
    for number in range(effort.batches):
        start = number % len(contenders)  # nobody is always first
        for contender in contenders[start:] + contenders[:start]:
            client.send(contender.port, workload, effort.batch)
            contender.sent += effort.batch
    for contender in contenders:
        contender.end_block(workload, effort.batch * effort.batches)


@contextmanager
def _client() -> Iterator[Client]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.load_client"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # leaving closes its stdin, at which it ends
        yield Client(process)


@contextmanager
def _contending(setup: Setup, routes: int, effort: Effort, directory: Path) -> Iterator[Contender]:
    port = _free_port()
    scripts = Path(sys.executable).parent
    command = [part.format(port=port) for part in COMMANDS[setup.framework]]
    command[0] = str(scripts / command[0])
    if setup.zero_code:
        command.insert(0, str(scripts / "opentelemetry-instrument"))
    output = directory / f"{setup.framework}-{setup.key}-{routes}.log"
    with Sink() as sink, state_folder() as state, output.open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **environment(setup, sink, effort.export_interval_s, Path(state)),
                "PYTHONPATH": str(ROOT),
                SETUP_VARIABLE: setup.name,
                ROUTES_VARIABLE: str(routes),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Contender(setup, server, port, sink)
        except BaseException:
            sys.stderr.write(f"\n{setup.name}:\n{output.read_text()}\n")
            raise
        finally:
            server.terminate()
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for_port(contender: Contender) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and contender.server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", contender.port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{contender.setup.name} does not listen on {contender.port}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
