"""Reading the body of a request: bounded in bytes, after inflation too, and in time.

The runner must leave bodies as they arrive (`auto_decompress=False`): aiohttp's own inflation knows no bound.

Sources: https://www.rfc-editor.org/rfc/rfc9110#name-content-codings, https://www.rfc-editor.org/rfc/rfc1952
"""

import asyncio
import zlib
from typing import Final

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from ansflow_gateway.domain.rejection import Reason, RejectedError, Rejection, explain, reject

BODY_DEADLINE_S: Final = 10.0
"""Time in which a body must arrive, in seconds."""

GZIP_MEMBERS_LIMIT: Final = 64
"""Most gzip members of one body. Senders that flush now and then make some; a body of empty ones alone costs
time without ever reaching the bound on its size."""

_GZIP: Final = frozenset({"gzip", "x-gzip"})
_IDENTITY: Final = frozenset({"", "identity"})
_BROKEN: Final = (ClientPayloadError, ConnectionError, HttpProcessingError, RequestPayloadError)


async def read_body(request: web.Request, limit: int, deadline_s: float = BODY_DEADLINE_S) -> bytes:
    """Read a request's body whole, and inflate it where it is gzipped.

    Args:
        request: The request; its body hasn't been read yet.
        limit: Most bytes, both on the wire and inflated.
        deadline_s: Time in which it must arrive, in seconds.

    Returns:
        The body as its sender had it before the content coding.

    Raises:
        RejectedError: `body_too_large`, `timeout`, `unsupported_media_type` for another content coding than
            gzip, `broken_body` where it ends early or isn't gzip though it says so.
    """
    gzipped = _is_gzipped(request)
    if request.content_length is not None and request.content_length > limit:
        raise explain(
            Reason.BODY_TOO_LARGE, "body", f"at most {limit} bytes", f"{request.content_length} bytes"
        )
    body = Inflation(limit) if gzipped else _Plain(limit)
    try:
        async with asyncio.timeout(deadline_s):
            async for piece in request.content.iter_any():
                body.feed(piece)
    except TimeoutError as error:
        raise explain(Reason.TIMEOUT, "body", f"all of it within {deadline_s:g} s", "a part") from error
    except _BROKEN as error:
        raise explain(Reason.BROKEN_BODY, "body", "a whole body", "one that ends early") from error
    return body.finish()


class _Plain:
    """A body that comes as it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        if len(self._body) + len(piece) > self._limit:
            raise _too_large(self._limit)
        self._body += piece

    def finish(self) -> bytes:
        return bytes(self._body)


class Inflation:
    """Inflates gzip piece by piece, and never holds more than its limit.

    Args:
        limit: Most bytes, both of what is fed in and of what comes out.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._fed = 0
        self._body = bytearray()
        self._members = 0
        self._member = _member()
        self._inside = False

    def feed(self, piece: bytes) -> None:
        """Inflate a piece.

        Args:
            piece: Bytes off the wire, of any length.

        Raises:
            RejectedError: `body_too_large`, or `broken_body` where this isn't gzip.
        """
        self._fed += len(piece)
        if self._fed > self._limit:
            raise _too_large(self._limit)
        while piece:
            if not self._inside:
                self._begin()
            try:
                # One byte more than there is room for tells a body that is too large from one that fits.
                self._body += self._member.decompress(piece, self._limit - len(self._body) + 1)
            except zlib.error as error:
                raise _broken("bytes that aren't") from error
            if len(self._body) > self._limit:
                raise _too_large(self._limit)
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._inside = not self._member.eof

    def finish(self) -> bytes:
        """End the body.

        Returns:
            What came out.

        Raises:
            RejectedError: `broken_body` where a member isn't complete, or there is none.
        """
        if self._inside or not self._members:
            raise _broken("a part of it")
        return bytes(self._body)

    def _begin(self) -> None:
        if self._members == GZIP_MEMBERS_LIMIT:
            raise explain(Reason.BROKEN_BODY, "body", f"at most {GZIP_MEMBERS_LIMIT} gzip members", "more")
        self._members += 1
        self._member = _member()
        self._inside = True


def _member() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16: a gzip header and checksum, and nothing else


def _is_gzipped(request: web.Request) -> bool:
    given = ",".join(request.headers.getall("Content-Encoding", []))
    coding = given.strip().lower()
    if coding in _GZIP:
        return True
    if coding not in _IDENTITY:
        raise reject(Reason.UNSUPPORTED_MEDIA_TYPE, "content-encoding", "gzip or identity", given)
    return False


def _too_large(limit: int) -> RejectedError:
    return explain(Reason.BODY_TOO_LARGE, "body", f"at most {limit} bytes", "more")


def _broken(got: str) -> RejectedError:
    return RejectedError(Rejection(Reason.BROKEN_BODY, "body", "gzip, as content-encoding says", got))
