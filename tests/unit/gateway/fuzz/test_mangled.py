"""What isn't HTTP/1.1, or can be read in two ways: it is refused, the connection ends, nothing is taken."""

import socket
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.event_bodies import mutated
from support.framing import OTHER_WAY, WAYS, Way, body, framed, post, talk
from support.fuzzing import SHARES, FuzzedGateway
from support.json_mutation import TOKENS
from support.raw_http import Connection, chunked

FUZZ_MANGLED = SHARES["mangled"]
"""Requests of which some bytes are changed, each on a connection of its own."""

by_both = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
"""Of a test that is for the slim path and for aiohttp."""


@settings(
    max_examples=FUZZ_MANGLED // 10,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(st.integers(0, 2**32))
def send_mangled(fuzzed: FuzzedGateway, seed: int) -> None:
    """Send requests of which some bytes are changed, mostly of the head."""
    chance = Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(10):
        way = chance.choice([(), (OTHER_WAY,), (("Connection", "keep-alive"),), (("Accept", "*/*"),)])
        sent = post(way)
        if chance.randrange(4) == 0:
            content = body()
            sent = framed(b"Transfer-Encoding: chunked", chunked(content, [chance.randrange(1, 90)]))
        head, end, rest = sent.partition(b"\r\n\r\n")
        match chance.randrange(5):
            case 0 | 1:
                head = mutated(head, chance)
            case 2:
                rest = mutated(rest, chance)
            case 3:
                at = chance.randrange(len(head))
                head = (
                    head[:at]
                    + chance.choice([*TOKENS, b"\r", b"\n", b"\r\n", b": ", b" ", b"\t"])
                    + head[at:]
                )
            case _:
                at = chance.randrange(len(sent))
                head, end, rest = (
                    sent[:at] + bytes([sent[at] ^ 1 << chance.randrange(8)]) + sent[at + 1 :],
                    b"",
                    b"",
                )
        talk(fuzzed, head + end + rest, malformed=None)


def test_mangled_requests_are_refused_or_taken_and_never_more(fuzzed: FuzzedGateway) -> None:
    """Each answer is one of the endpoint's, or a last 400; the journal has what was accepted, and no more."""
    send_mangled(fuzzed)
    fuzzed.look()
    fuzzed.check_counts()
    fuzzed.check_fold()


LENGTH = b"Content-Length: %d"


@pytest.mark.parametrize(
    "field",
    [
        *(b"Content-Length: -1", b"Content-Length: +1", b"Content-Length: 0x10", b"Content-Length:"),
        *(
            b"Content-Length: 1, 1",
            b"Content-Length: 1_0",
            b"Content-Length: 1 0",
            b"Content-Length: " + b"9" * 30,
        ),
        *(LENGTH + b"\r\n" + LENGTH, b"Content-Length: 3\r\n" + LENGTH, LENGTH + b"\r\nContent-Length: 3"),
        *(LENGTH + b"\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\n" + LENGTH),
        *(b"Transfer-Encoding: x", b"Transfer-Encoding: chunked, x", b"Transfer-Encoding: chunked, chunked"),
        *(b"Content-Length : 10", LENGTH + b"\r\nContent-Length\xff: 3", LENGTH + b"\r\n folded: 1"),
        *(LENGTH + b"\r\nHost: other", LENGTH + b"\r\nContent-Type: application/cloudevents+json"),
        *(
            LENGTH + b"\r\nX-A: a\x00b",
            LENGTH + b"\r\nX-A: a\rb",
            LENGTH + b"\r\nX A: b",
            LENGTH + b"\r\n: b",
        ),
        *(LENGTH + b"\r\nno field", LENGTH + b"\r\nX-Long: " + b"x" * 9000),
    ],
)
@by_both
def test_a_request_that_can_be_read_in_two_ways_is_refused(
    fuzzed: FuzzedGateway, way: Way, field: bytes
) -> None:
    """Lengths that contradict each other, fields given twice, controls: nothing of it is taken."""
    content = body()
    told = talk(fuzzed, framed(field.replace(LENGTH, LENGTH % len(content)), content, way), malformed=True)
    assert not any(answer.status == 202 for answer in told)


@by_both
def test_a_body_is_as_long_as_it_says(fuzzed: FuzzedGateway, way: Way) -> None:
    """What is declared too short is cut, and its rest is no request; without a length there is no body."""
    content = body()
    for length in (1, 5, len(content) - 1):
        told = talk(fuzzed, framed(b"Content-Length: %d" % length, content, way), malformed=True)
        # Where both come at once, aiohttp tells of the second alone.
        assert [answer.status for answer in told] in ([400], [] if way else [400])
    (answer,) = talk(fuzzed, framed(b"Content-Length: 0", b"", way))
    assert answer.status == 400
    assert not any(each.status == 202 for each in talk(fuzzed, framed(b"X: y", content, way), malformed=True))
    (answer,) = talk(fuzzed, framed(b"Content-Length: 000%d" % len(content), content, way))
    assert answer.status == 202


@by_both
def test_who_leaves_in_the_middle_leaves_nothing_behind(fuzzed: FuzzedGateway, way: Way) -> None:
    """A part of a request, then the end of the connection, in both of its ways: nothing is stored."""
    before = fuzzed.journal()
    for cut in range(1, len(post(way)), 9):
        for leave in (Connection.finish, _reset):
            with Connection(fuzzed.port) as connection:
                connection.send(post(way)[:cut])
                leave(connection)
    fuzzed.look()
    assert fuzzed.journal() == before


def _reset(connection: Connection) -> None:
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
