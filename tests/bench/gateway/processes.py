"""The processes of a run: each server alone on one core, the load client on another."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansflow_stack.build.checkout import Checkout

from ..cpu import cpu_s
from ..environment import ROOT
from .payloads import Kind

__all__ = [
    "Client",
    "Server",
    "collector",
    "free_ports",
    "gateway",
    "load_client",
    "pushgateway",
    "statsd_exporter",
    "total",
]

GATEWAY_COMMAND = (
    "-m",
    "ansflow_gateway",
    "serve",
    "--host",
    "127.0.0.1",
    "--port",
    "{port}",
    "--store",
    "{store}",
)
"""How the gateway is started: on a new file, and otherwise as a user does who sets nothing."""

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 30.0


def cores() -> tuple[int, int]:
    """Choose the cores: for the server that is measured, and for whoever sends the load.

    Returns:
        Their numbers; the same one twice on a machine that has only one.
    """
    if not hasattr(os, "sched_getaffinity"):
        return 0, 0
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        process: The process; it has no children.
        port: Where it answers HTTP.
        lines_port: Where it takes lines of StatsD's protocol, by UDP and TCP alike; 0 for the others.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    lines_port: int = 0

    def cpu_s(self) -> float:
        """Read the CPU time it has had, in seconds."""
        return cpu_s(self.process.pid)

    def metrics(self) -> str:
        """Scrape it: Prometheus' text format."""
        return get(f"http://127.0.0.1:{self.port}/metrics")


@dataclass(frozen=True)
class Client:
    """The running load client."""

    process: "subprocess.Popen[str]"

    def send(
        self, server: Server, kind: Kind, first: int, number: int, connections: int, rate: float = 0
    ) -> Any:
        """Send so many requests and wait for all answers.

        Args:
            server: Where to.
            kind: What each carries.
            first: Number of the first event.
            number: Requests.
            connections: How many keep-alive connections share them.
            rate: Requests per second in all; 0 for as fast as they are answered.

        Returns:
            `elapsed_s`, `answers` by status, `latencies_s` of each.
        """
        answer = self._ask(
            do="http",
            port=server.port,
            kind=kind,
            first=first,
            requests=number,
            connections=connections,
            rate=rate,
        )
        if refused := {status: many for status, many in answer["answers"].items() if status[0] != "2"}:
            raise RuntimeError(f"{kind}: not all were taken: {refused}")
        return answer

    def send_lines(self, server: Server, transport: str, first: int, lines: int, lines_a_packet: int) -> Any:
        """Send lines of StatsD's protocol, as fast as the socket takes them.

        Args:
            server: Where to.
            transport: `udp` or `tcp`.
            first: Number of the first.
            lines: How many.
            lines_a_packet: Lines of one datagram, or of one write.

        Returns:
            `elapsed_s`.
        """
        return self._ask(
            do="statsd",
            port=server.lines_port,
            transport=transport,
            first=first,
            lines=lines,
            lines_a_packet=lines_a_packet,
        )

    def _ask(self, **command: object) -> Any:
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the client has no pipes")
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"the load client ended with {self.process.wait()} at {command}")
        return json.loads(answer)


@contextmanager
def load_client() -> Iterator[Client]:
    """Run the load client."""
    with _pinned(cores()[1]):
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
def gateway(
    folder: Path, flags: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run the gateway, on a new store.

    Args:
        folder: For its store and its output.
        flags: Further flags.
        variables: Variables of its environment; by default it pushes nothing, as its peers don't.
    """
    (port,) = free_ports(1)
    command = [part.format(port=port, store=folder / "events.db") for part in GATEWAY_COMMAND]
    given = {"OTEL_METRICS_EXPORTER": "none"} if variables is None else variables
    ready = f"http://127.0.0.1:{port}/health/live"
    with _serving(
        [sys.executable, *command, *flags], given, folder / "gateway.log", ready, cores()[0]
    ) as process:
        yield Server(process, port)


@contextmanager
def pushgateway(folder: Path) -> Iterator[Server]:
    """Run Pushgateway with its defaults: nothing is kept on a disk."""
    (port,) = free_ports(1)
    command = [_binary("pushgateway"), f"--web.listen-address=127.0.0.1:{port}"]
    ready = f"http://127.0.0.1:{port}/-/ready"
    with _serving(command, {}, folder / "pushgateway.log", ready, cores()[0]) as process:
        yield Server(process, port)


@contextmanager
def statsd_exporter(folder: Path) -> Iterator[Server]:
    """Run statsd_exporter with its defaults."""
    port, lines_port = free_ports(2)
    command = [
        _binary("statsd_exporter"),
        f"--web.listen-address=127.0.0.1:{port}",
        f"--statsd.listen-udp=127.0.0.1:{lines_port}",
        f"--statsd.listen-tcp=127.0.0.1:{lines_port}",
    ]
    ready = f"http://127.0.0.1:{port}/-/ready"
    with _serving(command, {}, folder / "statsd_exporter.log", ready, cores()[0]) as process:
        yield Server(process, port, lines_port)


@contextmanager
def collector(folder: Path) -> Iterator[tuple[Server, int]]:
    """Run the Collector with the project's configuration.

    Yields:
        The server, whose port is that of the metrics' endpoint, and the port for OTLP over HTTP.
    """
    grpc, otlp, metrics, telemetry, health = free_ports(5)
    variables = {
        "ANSFLOW_OTLP_GRPC_PORT": str(grpc),
        "ANSFLOW_OTLP_HTTP_PORT": str(otlp),
        "ANSFLOW_COLLECTOR_METRICS_PORT": str(metrics),
        "ANSFLOW_COLLECTOR_TELEMETRY_PORT": str(telemetry),
        "ANSFLOW_COLLECTOR_HEALTH_PORT": str(health),
        "ANSFLOW_DATA_DIR": str(folder / "data"),
    }
    configurations = [ROOT / "collector-config" / f"{name}.yaml" for name in ("base", "signals-none")]
    command = [_binary("ansflow-otelcol"), *(f"--config={path}" for path in configurations)]
    ready = f"http://127.0.0.1:{health}/"
    with _serving(command, variables, folder / "collector.log", ready) as process:
        yield Server(process, metrics), otlp


def free_ports(number: int) -> list[int]:
    """Find ports that nobody listens on, all different, by TCP and UDP."""
    with ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < number:
            stream = stack.enter_context(socket.socket())
            stream.bind(("127.0.0.1", 0))
            datagrams = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            with suppress(OSError):
                datagrams.bind(stream.getsockname())
                ports.append(stream.getsockname()[1])
        return ports


def get(url: str) -> str:
    """Return a page of a server on this machine, past any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=60) as answer:
        body: bytes = answer.read()
    return body.decode()


def total(exposition: str, name: str, **labels: str) -> float:
    """Add up a metric's samples.

    Args:
        exposition: Prometheus' text format.
        name: The samples' name.
        labels: Labels that they must have, in any order.

    Returns:
        The sum; 0 where there are none.
    """
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    line = re.compile(rf"^{re.escape(name)}(?:\{{({_LABELS})\}})? (\S+)", re.MULTILINE)
    return sum(
        float(value) for given, value in line.findall(exposition) if wanted <= set(_LABEL.findall(given))
    )


_ONE_LABEL = r'\w+="(?:[^"\\\n]|\\.)*"'
_LABELS = rf"(?:{_ONE_LABEL},?)*"
_LABEL = re.compile(_ONE_LABEL)


def _binary(name: str) -> str:
    path = Checkout(ROOT).binaries / name
    if not path.is_file():
        raise SystemExit(f"{name} isn't built: make binaries-bench")
    return str(path)


@contextmanager
def _serving(
    command: Sequence[str], variables: Mapping[str, str], log: Path, ready: str, core: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    prefixes = ("OTEL_", "ANSFLOW_", "GOMAXPROCS", "GOGC", "PROMETHEUS_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    with log.open("wb") as output:
        with _pinned(core):
            process = subprocess.Popen(
                command,
                env={**inherited, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
            )
        try:
            _wait(process, ready)
            yield process
        except BaseException:
            sys.stderr.write(f"\n{command[0]}:\n{log.read_text(errors='replace')[-3000:]}\n")
            raise
        finally:
            process.terminate()
            try:
                process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    """Start processes on one core: they inherit it, and so a Go runtime knows that it has no more."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            get(url)
            return
        time.sleep(0.05)
    raise RuntimeError(f"{url} doesn't answer")
