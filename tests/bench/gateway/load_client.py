"""The process that sends the load: keep-alive connections, one request at a time on each, no more.

Each line of standard input is a command in JSON, and is answered with one line of JSON. It does as little as
it can for a request, so that the server's core is the one that is busy.
"""

import asyncio
import functools
import json
import re
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from uvloop import new_event_loop

from .payloads import Kind, requests, statsd_lines

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

LEAD_S = 0.2
"""Time to open the connections before the first request is due, in seconds."""


@dataclass
class Observed:
    """What the connections of one command have seen."""

    answers: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """Sends one request after another as fast as they are answered, or as they are due.

    Args:
        queue: Its requests.
        due: When each is due, by `time.perf_counter`; empty where each follows the answer before. A request
            that is due while the one before is still unanswered waits, and the wait counts.
        observed: Where to note.
        finished: Set when all is answered.
    """

    def __init__(
        self, queue: deque[bytes], due: deque[float], observed: Observed, finished: "asyncio.Future[None]"
    ) -> None:
        self._queue = queue
        self._due = due
        self._paced = bool(due)
        self._observed = observed
        self._finished = finished
        self._received = b""
        self._since = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment] # of a stream protocol, it is one

    def start(self) -> None:
        """Send the first request, or wait until it is due."""
        if not self._queue:
            self._finished.set_result(None)
            return
        due = self._due.popleft() if self._paced else 0.0
        wait = due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            # It was due while the one before was unanswered: a sender that doesn't wait would have sent it.
            self._send(due)

    def data_received(self, data: bytes) -> None:
        """Note a complete answer, and go on."""
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, end + 2)
        if end < 0 or length is None or len(received) < end + 4 + int(length[1]):
            self._received = received
            return
        self._received = b""
        self._observed.latencies_s.append(time.perf_counter() - self._since)
        self._observed.answers[received[9:12].decode()] += 1
        self.start()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell that the server closed it: no server has a reason to."""
        if not self._finished.done():
            self._finished.set_exception(RuntimeError(f"the server closed the connection: {error!r}"))

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def _send(self, since: float = 0.0) -> None:
        assert self._transport is not None  # for mypy
        self._since = since or time.perf_counter()
        self._transport.write(self._queue.popleft())


async def _http(command: Mapping[str, Any]) -> dict[str, Any]:
    kind, connections = Kind(command["kind"]), int(command["connections"])
    each, rest = divmod(int(command["requests"]), connections)
    first, rate = int(command["first"]), float(command.get("rate", 0))
    loop = asyncio.get_running_loop()
    observed, opened, finished = Observed(), [], []
    queues: list[deque[bytes]] = []
    for number in range(connections):
        own = each + (number < rest)
        queues.append(deque(requests(kind, first, own, number)))
        first += own * kind.events
    starts = time.perf_counter() + LEAD_S
    for number, queue in enumerate(queues):
        future: asyncio.Future[None] = loop.create_future()
        due = (starts + (turn * connections + number) / rate for turn in range(len(queue))) if rate else ()
        make = functools.partial(Connection, queue, deque(due), observed, future)
        _, connection = await loop.create_connection(make, "127.0.0.1", int(command["port"]))
        opened.append(connection)
        finished.append(future)
    started = time.perf_counter()
    for connection in opened:
        connection.start()
    await asyncio.gather(*finished)
    elapsed = time.perf_counter() - started
    for connection in opened:
        connection.close()
    return {"elapsed_s": elapsed, "answers": observed.answers, "latencies_s": observed.latencies_s}


def _statsd(command: Mapping[str, Any]) -> dict[str, Any]:
    lines = statsd_lines(int(command["first"]), int(command["lines"]))
    size = int(command["lines_a_packet"])
    packets: list[bytes] = []
    while packet := b"".join(islice(lines, size)):
        packets.append(packet)
    address = ("127.0.0.1", int(command["port"]))
    if command["transport"] == "tcp":
        with socket.create_connection(address) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return {"elapsed_s": _send_all(packets, stream.sendall)}
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(address)
        return {"elapsed_s": _send_all(packets, datagrams.send)}


def _send_all(packets: Sequence[bytes], send: Callable[[bytes], object]) -> float:
    started = time.perf_counter()
    for packet in packets:
        send(packet)
    return time.perf_counter() - started


def main() -> None:
    """Answer commands until standard input ends."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        for line in sys.stdin:
            command = json.loads(line)
            answer = runner.run(_http(command)) if command["do"] == "http" else _statsd(command)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
