"""A real HTTP server that answers as the tests of clients need, and remembers what it was sent."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Peer", "running_peer"]


@dataclass
class Peer:
    """A server on a free loopback port.

    Attributes:
        port: Where it listens.
        requests: Path and `traceparent` of each request, in the order of arrival.
        headers: All headers of each, by their names in small letters.
    """

    port: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its root, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def running_peer() -> Iterator[Peer]:
    """Serve `/status/<code>`, `/redirect` (to /status/200), `/slow` (5 s), `/cut` (half a body), `/ok`."""
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            peer.headers.append({name.lower(): value for name, value in self.headers.items()})
            peer.requests.append((path, self.headers.get("traceparent", "")))
            if path == "/redirect":
                self._answer(302, location="/status/200")
            elif path == "/slow":
                stopping.wait(5)
                with contextlib.suppress(OSError):  # the client has left
                    self._answer(200)
            elif path == "/cut":
                self.send_response(200)
                self.send_header("content-length", "1000")
                self.end_headers()
                self.wfile.write(b"half")
                self.close_connection = True
            else:
                self._answer(int(path.rpartition("/")[2]) if path.startswith("/status/") else 200)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def _answer(self, status: int, *, location: str = "") -> None:
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    stopping = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    peer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
