"""Bodies: bounded before and after inflation, and in time."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from ansflow_gateway.domain.rejection import RejectedError
from ansflow_gateway.web import problem
from ansflow_gateway.web.body import GZIP_MEMBERS_LIMIT, Inflation, read_body
from hypothesis import given
from hypothesis import strategies as st

LIMIT = 100_000
DEADLINE_S = 0.3


@pytest.fixture
async def echo() -> AsyncIterator[TestServer]:
    """Give a server that answers with the body it read, or with the problem it had."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return web.Response(body=await read_body(request, LIMIT, DEADLINE_S))
        except RejectedError as error:
            return problem.response(error.rejection)

    app = web.Application()
    app.router.add_post("/", answer)
    server = TestServer(app)
    await server.start_server(auto_decompress=False)
    yield server
    await server.close()


async def post(server: TestServer, body: bytes, **headers: str) -> tuple[int, bytes, str]:
    """Send a body; give the status, the answer, and the reason of a refusal."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        ClientSession(auto_decompress=False) as session,
        session.post(server.make_url("/"), data=body, headers=named) as response,
    ):
        answer = await response.read()
        refusal = await response.json(content_type=None) if response.status >= 400 else {}
        return response.status, answer, refusal.get("reason", "")


@pytest.mark.parametrize("coding", [None, "identity", "gzip", "GZip", "x-gzip"])
async def test_a_body_comes_out_as_its_sender_had_it(echo: TestServer, coding: str | None) -> None:
    """Plain and gzipped bodies up to the limit are the same to the reader."""
    body = bytes(range(256)) * 390
    assert len(body) <= LIMIT
    sent = gzip.compress(body) if coding and "gzip" in coding.lower() else body
    assert await post(echo, sent, **({"Content_Encoding": coding} if coding else {})) == (200, body, "")


async def test_a_bomb_is_refused_without_being_inflated(echo: TestServer) -> None:
    """A gigabyte of zeros in a megabyte, and one byte too many, are both too large."""
    assert (await post(echo, gzip.compress(b"\0" * (LIMIT + 1)), Content_Encoding="gzip"))[::2] == (
        413,
        "body_too_large",
    )
    exactly = b"\0" * LIMIT
    assert (await post(echo, gzip.compress(exactly), Content_Encoding="gzip"))[1] == exactly
    bomb = gzip.compress(gzip.compress(b"\0" * 50_000_000, 9), 9)
    assert len(bomb) < 1000
    status, inner, _ = await post(echo, bomb, Content_Encoding="gzip")
    assert (status, len(inner) < LIMIT) == (200, True)  # one layer alone is taken off
    assert (await post(echo, inner, Content_Encoding="gzip"))[0] == 413


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_other_codings_are_not_taken(echo: TestServer, coding: str) -> None:
    """They are answered 415, and the field is named."""
    assert (await post(echo, b"x", Content_Encoding=coding))[::2] == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "sent",
    [
        b"not gzip",
        gzip.compress(b"abc")[:-1],
        gzip.compress(b"abc")[:12],
        gzip.compress(b"abc") + b"garbage",
        gzip.compress(b"abc") + b"\0" * 8,
        gzip.compress(b"abc")[:-8] + b"\0" * 8,  # a wrong checksum
        b"",
    ],
    ids=["plain", "cut trailer", "cut data", "garbage after it", "padding", "checksum", "empty"],
)
async def test_what_claims_to_be_gzip_and_is_not_is_broken(echo: TestServer, sent: bytes) -> None:
    """Nothing of it is used."""
    assert (await post(echo, sent, Content_Encoding="gzip"))[::2] == (400, "broken_body")


async def test_a_body_that_stops_coming_is_given_up(echo: TestServer) -> None:
    """After the deadline the client gets 408; a client that hangs up midway harms nobody."""
    reader, writer = await asyncio.open_connection(echo.host, echo.port)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
    writer.write(head + b"part")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    _, gone = await asyncio.open_connection(echo.host, echo.port)
    gone.write(head + b"part")
    gone.close()
    assert (await post(echo, b"next"))[0] == 200


async def test_a_chunked_body_of_unknown_length_is_bounded_too(echo: TestServer) -> None:
    """What declares no length is cut off where it passes the limit."""
    reader, writer = await asyncio.open_connection(echo.host, echo.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"%x\r\n%s\r\n" % (LIMIT + 1, b"x" * (LIMIT + 1)))
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 50))
def test_members_and_pieces_of_any_size_make_one_body(members: list[bytes], size: int) -> None:
    """How a body is cut into gzip members, and these into pieces off the wire, doesn't show."""
    wire = b"".join(gzip.compress(member) for member in members)
    inflation = Inflation(LIMIT)
    for start in range(0, len(wire), size):
        inflation.feed(wire[start : start + size])
    assert inflation.finish() == b"".join(members)


def test_empty_members_do_not_go_on_for_ever() -> None:
    """Members that hold nothing are bounded in number, since their size never is."""
    empty = gzip.compress(b"")
    inflation = Inflation(LIMIT)
    inflation.feed(empty * GZIP_MEMBERS_LIMIT)
    with pytest.raises(RejectedError) as refused:
        inflation.feed(empty)
    assert refused.value.rejection.reason == "broken_body"
    assert inflation.finish() == b""
