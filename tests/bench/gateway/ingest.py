"""Taking in: CPU time an event, durable at the gateway, beside Pushgateway and statsd_exporter."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from ..figures import ratio_of_added, spread
from ..progress import report
from . import processes
from .payloads import BATCH_EVENTS, METER, Kind
from .processes import Client, Server, total
from .results import Section, Target, quantile, shown

__all__ = ["Effort", "measure"]

CONNECTIONS = (1, 16, 64)
BATCH_CONNECTIONS = 4
SINGLE_FACTOR = 8.0
"""Durable events that are to be had for the CPU time of one push."""

BATCH_RATE = 100_000
"""Events in batches that are to be had from a second of CPU time."""

SETTLING_S = 0.3
"""statsd_exporter reads its socket, and applies what it read, a little later."""

NOTE = f"""\
All servers run at the same time, each held to the same core, and take turns of a block; the load comes from
one process on the other core, over keep-alive connections with one request under way on each. What counts is
the CPU time of the server's process with all its threads. The gateway's answer comes after the event is on
the disk (SQLite, `synchronous=FULL`); Pushgateway and statsd_exporter, with their default settings, keep what
they are told in memory. Each event, push and line counts one user's activity with the same two labels;
Pushgateway has a group a connection. A batch has {BATCH_EVENTS} events, each with an id of its own;
statsd_exporter gets as many increments. Runs are another load, which has no peer: each is queued, started
and finished, which moves some ten meters and makes a trace. At the end, the counters have to equal what was
sent; what UDP lost is shown, and cost is by what arrived.
"""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        blocks: Blocks of each contender, after one that warms up.
        requests: Requests with single events, or pushes, a block.
        batches: Batches a block.
        lines: Lines of StatsD's protocol a block.
    """

    blocks: int
    requests: int
    batches: int
    lines: int


@dataclass
class Contender:
    """One way to count, and what it costs.

    Attributes:
        title: In the table.
        server: Who is measured.
        send: Sends a block, from a number on; gives events sent, and latencies in seconds if known.
        count: Reads from a scrape of the server how many events it has counted.
        costs: CPU time, µs an event that was counted, one figure a block.
        rates: Events a second by the clock, one figure a block.
        latencies_s: Of all requests.
        sent: Events sent.
        counted: Events counted.
    """

    title: str
    server: Server
    send: Callable[[int], tuple[int, list[float]]]
    count: Callable[[str], int]
    costs: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    sent: int = 0
    counted: int = 0

    def run_block(self, first: int, *, warm_up: bool) -> int:
        """Run one block.

        Args:
            first: Number of its first event.
            warm_up: Whether what it costs is forgotten.

        Returns:
            Number after its last event.
        """
        counted = self.count(self.server.metrics())
        cpu_s, started = self.server.cpu_s(), time.perf_counter()
        number, latencies_s = self.send(first)
        elapsed_s = time.perf_counter() - started
        if self.server.lines_port:
            time.sleep(SETTLING_S)
        cpu_s = self.server.cpu_s() - cpu_s  # before the scrape that counts
        now = self.count(self.server.metrics())
        self.sent += number
        self.counted += now - counted
        if not warm_up:
            self.costs.append(cpu_s / max(now - counted, 1) * 1e6)
            self.rates.append(number / elapsed_s)
            self.latencies_s += latencies_s
        return first + number


def measure(effort: Effort) -> Section:
    """Measure all contenders in turns."""
    with ExitStack() as stack:
        client = stack.enter_context(processes.load_client())
        contenders = _contenders(stack, client, effort)
        number = 0
        for block in range(effort.blocks + 1):
            report(f"gateway: ingest: block {block} of {effort.blocks}")
            start = block % len(contenders)  # nobody is always first
            for contender in contenders[start:] + contenders[:start]:
                number = contender.run_block(number, warm_up=block == 0)
    return Section(
        "Taking in",
        NOTE,
        HEADS,
        [_row(each) for each in contenders],
        _targets(contenders),
        _wrong(contenders),
    )


HEADS = (
    "what is sent",
    "CPU µs an event (quartiles)",
    "events a CPU second",
    "events/s by the clock",
    "p50 / p99 of an answer, ms",
    "counted of sent",
)


def _contenders(stack: ExitStack, client: Client, effort: Effort) -> list[Contender]:
    folders = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(3)]
    gateway = stack.enter_context(processes.gateway(folders[0]))
    pushgateway = stack.enter_context(processes.pushgateway(folders[1]))
    statsd = stack.enter_context(processes.statsd_exporter(folders[2]))

    def http(title: str, server: Server, kind: Kind, number: int, connections: int) -> Contender:
        def send(first: int) -> tuple[int, list[float]]:
            answer = client.send(server, kind, first, number, connections)
            return number * kind.events, answer["latencies_s"]

        return Contender(title, server, send, COUNTS[kind])

    def lines(title: str, transport: str, lines_a_packet: int) -> Contender:
        def send(first: int) -> tuple[int, list[float]]:
            client.send_lines(statsd, transport, first, effort.lines, lines_a_packet)
            return effort.lines, []

        return Contender(title, statsd, send, _lines)

    singles = [
        contender
        for connections in CONNECTIONS
        for contender in (
            http(_single_title("gateway", connections), gateway, Kind.EVENT, effort.requests, connections),
            http(
                _single_title("pushgateway", connections),
                pushgateway,
                Kind.PUSH,
                effort.requests,
                connections,
            ),
        )
    ]
    others = [
        http(BATCH_TITLE, gateway, Kind.BATCH, effort.batches, BATCH_CONNECTIONS),
        http(RUNS_TITLE, gateway, Kind.RUNS, effort.batches, BATCH_CONNECTIONS),
        lines("statsd_exporter: TCP, a line a write", "tcp", 1),
        lines(f"statsd_exporter: TCP, {BATCH_EVENTS} lines a write", "tcp", BATCH_EVENTS),
        lines("statsd_exporter: UDP, a line a datagram", "udp", 1),
        lines("statsd_exporter: UDP, 20 lines a datagram", "udp", 20),
    ]
    return [*singles, *others]


BATCH_TITLE = f"**gateway, durable: batches of {BATCH_EVENTS}, {BATCH_CONNECTIONS} connections**"

RUNS_TITLE = f"gateway, durable: runs, {Kind.RUNS.events} events a batch, {BATCH_CONNECTIONS} connections"


def _single_title(server: str, connections: int) -> str:
    if server == "gateway":
        return f"**gateway, durable: single events, {_over(connections)}**"
    return f"Pushgateway: pushes, {_over(connections)}"


def _over(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def _events(exposition: str) -> int:
    return int(total(exposition, METER))


def _taken(exposition: str) -> int:
    return int(total(exposition, "ansflow_gateway_events_accepted_total"))


def _pushes(exposition: str) -> int:
    return int(total(exposition, "pushgateway_http_requests_total", handler="push", code="200"))


def _lines(exposition: str) -> int:
    return int(total(exposition, METER.removesuffix("_total")))


COUNTS = {Kind.EVENT: _events, Kind.BATCH: _events, Kind.RUNS: _taken, Kind.PUSH: _pushes}
"""What counts the events of each kind, in a scrape."""


def _row(contender: Contender) -> list[str]:
    latencies = contender.latencies_s
    return [
        contender.title,
        shown(contender.costs, 2),
        f"{1e6 / spread(contender.costs).median:,.0f}",
        f"{spread(contender.rates).median:,.0f}",
        f"{quantile(latencies, 0.5) * 1e3:.2f} / {quantile(latencies, 0.99) * 1e3:.2f}"
        if latencies
        else "no answers",
        f"{contender.counted:,} of {contender.sent:,}",
    ]


def _targets(contenders: list[Contender]) -> list[Target]:
    by_title = {contender.title: contender for contender in contenders}
    targets = []
    for connections in CONNECTIONS:
        ours, peer = (by_title[_single_title(name, connections)] for name in ("gateway", "pushgateway"))
        ratio = ratio_of_added(peer.costs, ours.costs)
        exact = ours.counted == ours.sent and peer.counted == peer.sent
        targets.append(
            Target(
                f"Durable single events for the CPU time of a push, {_over(connections)}",
                f"≥ {SINGLE_FACTOR:g}",
                f"**{ratio.value:.1f}** ({ratio.lower:.1f} to {ratio.upper:.1f})",
                exact and ratio.value >= SINGLE_FACTOR,
            )
        )
    batches = by_title[BATCH_TITLE]
    rates = [1e6 / cost for cost in batches.costs]
    rate = spread(rates)
    targets.append(
        Target(
            f"Durable events in batches of {BATCH_EVENTS}, a second of CPU time",
            f"≥ {BATCH_RATE:,}",
            f"**{rate.median:,.0f}** ({rate.lower:,.0f} to {rate.upper:,.0f})",
            batches.counted == batches.sent and rate.median >= BATCH_RATE,
        )
    )
    return targets


def _wrong(contenders: list[Contender]) -> list[str]:
    return [
        f"gateway: {contender.title}: {contender.counted} of {contender.sent} counted"
        for contender in contenders
        if contender.counted != contender.sent and "UDP" not in contender.title
    ]
