"""Scrapes of many series while events come in: how much later are their answers?"""

import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from ..progress import report
from . import processes
from .payloads import BATCH_EVENTS, METER, Kind
from .processes import Client, Server, total
from .results import Section, Target, quantile, shown

__all__ = ["measure"]

SERIES = 100_000
RATE = 1000.0
"""Events a second, spread evenly over the connections: below what one core takes in, so that waiting is the
scrape's doing. An event's time runs from when it was due, whether or not the one before was answered."""

CONNECTIONS = 16
SCRAPE_PAUSE_S = 1.0
"""Between two scrapes; Prometheus' default is a minute."""

FACTOR = 1.2
"""By so much may the p99 be longer while scrapes go on."""

FILL_CONNECTIONS = 4
ACCEPT = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
}
"""What Prometheus asks for."""

NOTE = f"""\
The gateway, on one core, has many series and takes {RATE:,.0f} durable single events a second over
{CONNECTIONS} connections. Blocks alternate: without scrapes, and with one every {SCRAPE_PAUSE_S:g} s, asked
for as Prometheus does (OpenMetrics, gzip). Latency is until an event's answer, from when it was sent or,
where the one before it on its connection was unanswered, was due; a block's p99 with scrapes is compared
with that of the block before it.
"""


class _Scraper(threading.Thread):
    """Scrapes every now and then, and notes how long each took."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="scraper", daemon=True)
        self._url = f"http://127.0.0.1:{server.port}/metrics"
        self._stopping = threading.Event()
        self.latencies_s: list[float] = []

    def run(self) -> None:
        """Scrape until told to stop."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while not self._stopping.is_set():
            started = time.perf_counter()
            request = urllib.request.Request(self._url, headers=ACCEPT)  # noqa: S310 # our own http URL
            with opener.open(request, timeout=60) as answer:
                answer.read()
            self.latencies_s.append(time.perf_counter() - started)
            self._stopping.wait(SCRAPE_PAUSE_S)

    def stop(self) -> None:
        """End after the scrape under way."""
        self._stopping.set()
        self.join()


def measure(blocks: int, seconds: float, series: int = SERIES) -> Section:
    """Measure.

    Args:
        blocks: Pairs of blocks.
        seconds: Length of one block.
        series: How many series there are.

    Returns:
        The section.
    """
    number = series
    calm: list[list[float]] = []
    scraped: list[list[float]] = []
    scrapes_s: list[float] = []
    requests = int(RATE * seconds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        flags = ["--series-limit", str(series + 1000)]
        gateway = stack.enter_context(processes.gateway(folder, flags))
        client = stack.enter_context(processes.load_client())
        report(f"gateway: stall: filling {series} series")
        client.send(gateway, Kind.SERIES, 0, series // BATCH_EVENTS, FILL_CONNECTIONS)
        for block in range(blocks):
            report(f"gateway: stall: block {block + 1} of {blocks}")
            calm.append(_send(client, gateway, number, requests))
            scraper = _Scraper(gateway)
            scraper.start()
            scraped.append(_send(client, gateway, number + requests, requests))
            scraper.stop()
            scrapes_s += scraper.latencies_s
            number += 2 * requests
        counted = int(total(gateway.metrics(), METER))
    return _section(series, calm, scraped, scrapes_s, number, counted)


def _send(client: Client, gateway: Server, first: int, requests: int) -> list[float]:
    answer = client.send(gateway, Kind.EVENT, first, requests, CONNECTIONS, RATE)
    latencies_s: list[float] = answer["latencies_s"]
    return latencies_s


def _section(
    series: int,
    calm: list[list[float]],
    scraped: list[list[float]],
    scrapes_s: list[float],
    sent: int,
    counted: int,
) -> Section:
    p99s = [[quantile(block, 0.99) * 1e3 for block in blocks] for blocks in (calm, scraped)]
    ratios = [loud / quiet for quiet, loud in zip(*p99s, strict=True)]
    factor = quantile(ratios, 0.5)
    rows = [
        [title, shown([quantile(block, 0.5) * 1e3 for block in blocks], 2), shown(p99, 2), scrapes]
        for title, blocks, p99, scrapes in (
            ("no scrapes", calm, p99s[0], "none"),
            (
                "scrapes",
                scraped,
                p99s[1],
                f"{len(scrapes_s)}, of {shown([s * 1e3 for s in scrapes_s], 0)} ms",
            ),
        )
    ]
    target = Target(
        f"p99 of taking an event in during scrapes of {series:,} series, over that without",
        f"< {FACTOR:g}",
        f"**{factor:.2f}** ({min(ratios):.2f} to {max(ratios):.2f})",
        counted == sent and factor < FACTOR,
    )
    wrong = [] if counted == sent else [f"gateway: stall: {counted} of {sent} events counted"]
    heads = (
        "",
        "p50 of an event, ms (quartiles of the blocks)",
        "p99, ms (quartiles of the blocks)",
        "scrapes",
    )
    return Section("Taking in during scrapes", NOTE, heads, rows, [target], wrong)
