"""From an event's 2xx to its value on the Collector's endpoint: how long, with default settings."""

import threading
import time
import urllib.error
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from ..progress import report
from . import processes
from .payloads import METER, Kind
from .processes import Server, total
from .results import Section, Target, quantile

__all__ = ["measure"]

LIMIT_S = 2.0
"""95 of 100 events are to be there within so many seconds."""

PAUSE_S = 0.17
"""Between two events: no divisor of an interval at which anything is pushed."""

POLL_S = 0.02
"""Between two looks at the endpoint: as exact as the figures are."""

ARRIVAL_DEADLINE_S = 60.0

NOTE = f"""\
The gateway pushes to a real Collector with the project's configuration, whose endpoint is read every
{POLL_S * 1e3:.0f} ms. One event is sent every {PAUSE_S * 1e3:.0f} ms; it is there once the counter is as
large as the number of events answered up to it. Nothing is set on either but ports.
"""


class _Watch(threading.Thread):
    """Notes when the counter was first seen at each value."""

    def __init__(self, endpoint: Server) -> None:
        super().__init__(name="watch", daemon=True)
        self._endpoint = endpoint
        self._stopping = threading.Event()
        self.seen: list[tuple[int, float]] = [(0, 0.0)]

    def run(self) -> None:
        """Look until told to stop."""
        while not self._stopping.wait(POLL_S):
            try:
                counted = int(total(self._endpoint.metrics(), METER))
            except (urllib.error.URLError, ConnectionError):
                continue
            if counted > self.seen[-1][0]:
                self.seen.append((counted, time.monotonic()))

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self.join()

    def counted(self) -> int:
        """Give the latest value."""
        return self.seen[-1][0]

    def time_of(self, number: int) -> float:
        """Tell when so many events were counted, by the monotonic clock."""
        return next(at for counted, at in self.seen if counted >= number)


def measure(events: int) -> Section:
    """Measure.

    Args:
        events: How many are sent.

    Returns:
        The section.
    """
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(2)]
        endpoint, otlp = stack.enter_context(processes.collector(folders[0]))
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{otlp}"}
        gateway = stack.enter_context(processes.gateway(folders[1], variables=variables))
        client = stack.enter_context(processes.load_client())
        watch = _Watch(endpoint)
        watch.start()
        report(f"gateway: freshness: {events} events")
        answered: list[float] = []
        for number in range(events):
            client.send(gateway, Kind.EVENT, number, 1, 1)
            answered.append(time.monotonic())
            time.sleep(PAUSE_S)
        deadline = time.monotonic() + ARRIVAL_DEADLINE_S
        while watch.counted() < events and time.monotonic() < deadline:
            time.sleep(POLL_S)
        watch.stop()
    counted = watch.counted()
    delays_s = [watch.time_of(number) - at for number, at in enumerate(answered[:counted], 1)]
    return _section(delays_s, events, counted)


def _section(delays_s: list[float], events: int, counted: int) -> Section:
    p50, p95, last = (quantile(delays_s, share) for share in (0.5, 0.95, 1.0))
    measured = f"**{p95:.2f} s** (p50 {p50:.2f} s, longest {last:.2f} s)"
    target = Target(
        "From an event's 2xx to its value on the Collector's endpoint, p95",
        f"≤ {LIMIT_S:g} s",
        measured,
        counted == events and p95 <= LIMIT_S,
    )
    row = [f"{p50:.2f}", f"{p95:.2f}", f"{last:.2f}", f"{counted} of {events}"]
    wrong = [] if counted == events else [f"gateway: freshness: {counted} of {events} events arrived"]
    return Section("Freshness", NOTE, ("p50, s", "p95, s", "longest, s", "arrived"), [row], [target], wrong)
