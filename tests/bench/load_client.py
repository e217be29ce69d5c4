"""The process that sends the load: a fixed number of connections, each with one request at a time.

Each line of standard input, `<port> <routes> last|spread <requests>`, is answered with a line `done` after
that many requests have been answered with 200. Anything else ends the process.
"""

import asyncio
import functools
import sys
from collections.abc import Iterator

from .workloads import Workload, request_headers

CONNECTIONS = 4


class Requests(Iterator[bytes]):
    """The requests that all connections share, and how many are left."""

    def __init__(self, requests: Iterator[bytes], number: int) -> None:
        self._requests = requests
        self.remaining = number

    def __next__(self) -> bytes:
        if self.remaining == 0:
            raise StopIteration
        self.remaining -= 1
        return next(self._requests)


class Connection(asyncio.Protocol):
    """Sends one request after another, on a new connection where the server has closed the last."""

    def __init__(self, requests: Iterator[bytes], finished: "asyncio.Future[None]") -> None:
        self._requests = requests
        self._finished = finished
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request of this connection."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._send()

    def data_received(self, data: bytes) -> None:
        """Send the next request once a response is complete."""
        self._received += data
        head, complete, body = bytes(self._received).partition(b"\r\n\r\n")
        if not complete:
            return
        headers = dict(line.lower().partition(b": ")[::2] for line in head.split(b"\r\n")[1:])
        if len(body) < int(headers[b"content-length"]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(f"answered with {head!r}")
            return
        self._received.clear()
        if headers.get(b"connection") == b"close":
            self._close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Hand over to the next connection; a response that was begun must have been complete."""
        if self._received or error:
            self._fail(f"the connection broke: {error!r}")
        elif not self._finished.done():
            self._finished.set_result(None)

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._close()
        elif self._transport is not None:
            self._transport.write(request)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _fail(self, reason: str) -> None:
        if not self._finished.done():
            self._finished.set_exception(RuntimeError(reason))


async def _send_all(port: int, requests: Requests) -> None:
    loop = asyncio.get_running_loop()
    while requests.remaining:
        finished: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(functools.partial(Connection, requests, finished), "127.0.0.1", port)
        await finished


async def _load(port: int, requests: Requests) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_send_all(port, requests))


def _rendered(workload: Workload) -> Iterator[bytes]:
    headers = "".join(f"{name}: {value}\r\n" for name, value in request_headers().items())
    for path in workload.paths():
        yield f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode()


def main() -> None:
    """Answer commands until standard input ends."""
    for line in sys.stdin:
        port, routes, pattern, number = line.split()
        workload = Workload(int(routes), spread=pattern == "spread")
        requests = Requests(_rendered(workload), int(number))
        asyncio.run(_load(int(port), requests))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
