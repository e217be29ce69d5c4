"""HTTP/1.1 by bytes: what no well-behaved client sends can be sent, and the answer is taken as it comes."""

import select
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

Headers = Iterable[tuple[str | bytes, str | bytes]]
"""Headers of a request, in order; texts are sent as ISO 8859-1."""

_DEADLINE_S = 60.0  # a bound on a hang, not a claim of speed


class ClosedError(Exception):
    """The server closed the connection before an answer began."""


@dataclass(frozen=True)
class Answer:
    """An answer.

    Args:
        version: `HTTP/1.1` or `HTTP/1.0`.
        status: Its status.
        headers: Its headers in order, names in lower case.
        body: Its body, without chunks' frames.
        interim: Statuses of the interim answers before it.
    """

    version: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    interim: tuple[int, ...] = ()

    def header(self, name: str) -> str | None:
        """Give a header's value; None where it isn't there."""
        return dict(self.headers).get(name)

    @property
    def closes(self) -> bool:
        """Whether the server closes the connection after it."""
        given = (self.header("connection") or "").lower()
        return given == "close" or (self.version == "HTTP/1.0" and given != "keep-alive")


def request(method: str, target: str, headers: Headers = (), body: bytes | None = None) -> bytes:
    """Make a request's bytes.

    Args:
        method: The method.
        target: Path and query.
        headers: Headers but for `Host`, and `Content-Length` where there is a body.
        body: Its body; None where there is none.
    """
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: gateway"]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def chunked(body: bytes, sizes: Iterable[int]) -> bytes:
    """Frame a body in chunks of these sizes; the last one has what is left."""
    framed, start = b"", 0
    for size in [*sizes, len(body)]:
        if piece := body[start : start + size]:
            framed += b"%x\r\n%s\r\n" % (len(piece), piece)
        start += size
    return framed + b"0\r\n\r\n"


class Connection:
    """A connection to a port of this machine.

    Args:
        port: The port.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._received = b""
        self.socket = self._connect()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def finish(self) -> None:
        """Tell the server that nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Send bytes, of which the server may refuse the rest."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return  # what it had to say is still to be read

    def exchange(self, data: bytes, *, head: bool = False) -> Answer:
        """Send a request, and give its answer; after one that ends the connection, connect again."""
        self.send(data)
        answer = self.receive(head=head)
        if answer.closes:
            self.close()
            self._received = b""
            self.socket = self._connect()
        return answer

    def receive(self, *, head: bool = False) -> Answer:
        """Give the next answer.

        Args:
            head: Whether it is one to HEAD, and so has no body.

        Raises:
            ClosedError: There is none.
        """
        interim: list[int] = []
        while True:
            version, status, headers = self._head()
            if status >= 200:
                break
            interim.append(status)
        body = b"" if head or status in {204, 304} else self._body(dict(headers))
        return Answer(version, status, headers, body, tuple(interim))

    def wait(self, seconds: float) -> bool:
        """Wait for more bytes, or the end; whether one of them came."""
        return bool(self._received or select.select([self.socket], [], [], seconds)[0])

    def interim(self) -> int:
        """Give the status of an interim answer, which the server sends before it knows more."""
        _, status, headers = self._head()
        assert status < 200, status
        assert not headers, headers
        return status

    def read_until(self, mark: bytes) -> bytes:
        """Give all bytes before a mark."""
        return self._until(mark)

    @property
    def ended(self) -> bool:
        """Whether the server sends nothing more: waits for the end of the connection."""
        return not self._received and not self._more()

    def _connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=_DEADLINE_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _more(self) -> bool:
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        self._received += piece
        return bool(piece)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._received:
            if not self._more():
                raise ClosedError(self._received)
        taken, _, self._received = self._received.partition(mark)
        return taken

    def _exactly(self, length: int) -> bytes:
        while len(self._received) < length:
            if not self._more():
                raise ClosedError(self._received)
        taken, self._received = self._received[:length], self._received[length:]
        return taken

    def _head(self) -> tuple[str, int, tuple[tuple[str, str], ...]]:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        return version, int(status), tuple((name.lower(), value.strip()) for name, _, value in pairs)

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._until(b"\r\n"), 16):
                body += self._exactly(size)
                self._exactly(2)
            self._exactly(2)
            return body
        return self._exactly(int(headers["content-length"]))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
