"""Answers as bytes."""

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp.http import SERVER_SOFTWARE

from ansflow_gateway.web.answer import Answer

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class Replies:
    """Writes answers as HTTP/1.1, with the header fields that aiohttp would give them."""

    def __init__(self) -> None:
        self._starts: dict[tuple[int, str], bytes] = {}
        self._second = 0
        self._date = b""

    def encode(self, answer: Answer, *, close: bool) -> bytes:
        """Write an answer.

        Args:
            answer: The answer.
            close: Whether the connection ends with it.

        Returns:
            Head and body.
        """
        key = (answer.status, answer.content_type)
        start = self._starts.get(key)
        if start is None:
            start = self._starts[key] = (
                f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}\r\n"
                f"Content-Type: {answer.content_type}\r\n"
                f"Server: {SERVER_SOFTWARE}\r\nContent-Length: "
            ).encode()
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._date = f"\r\nDate: {formatdate(now, usegmt=True)}\r\n".encode()
        further = b"".join([f"{name}: {value}\r\n".encode() for name, value in answer.headers])
        if close:
            further += b"Connection: close\r\n"
        return b"%b%d%b%b\r\n%b" % (start, len(answer.body), self._date, further, answer.body)
