"""HTTP/1.1 as it comes: cut, pipelined, chunked, mangled. One request has one answer, and one effect."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.event_bodies import mutated
from support.fuzzing import SHARES, FuzzedGateway, check_answer, fuzzed_gateway
from support.json_mutation import TOKENS
from support.raw_http import Answer, ClosedError, Connection, chunked, request

FUZZ_PIPELINES = 60
"""Connections with up to a dozen requests one after the other."""

FUZZ_MANGLED = SHARES["mangled"]
"""Requests of which some bytes are changed, each on a connection of its own."""

PATH = "/v1/events"
STRUCTURED = ("Content-Type", "application/cloudevents+json")
OTHER_WAY = ("X-Anything", "1")
"""Takes a request to aiohttp's parser; without it, plain events don't get there."""

KINDS = ["slim", "other", "broken", "batch", "chunked", "get", "head"]
"""Of requests that follow each other on a connection."""

WAYS = pytest.mark.parametrize("way", [(), (OTHER_WAY,)], ids=["slim", "aiohttp"])
MIB = 1024 * 1024
PATIENCE_S = 0.05
"""Time without an answer after which a server is taken to wait for more; a shorter one only costs time."""

_IDS = count(1)

Way = Sequence[tuple[str, str]]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedGateway]:
    """Give a gateway whose log may tell of what isn't HTTP."""
    folder = tmp_path_factory.mktemp("framed")
    with fuzzed_gateway(folder, tolerated="logger=aiohttp.server") as gateway:
        yield gateway


def body(**changes: object) -> bytes:
    """Make an event that nobody has sent yet."""
    data = {"action": "login", "user_type": "admin"}
    event = {"specversion": "1.0", "id": f"framed-{next(_IDS)}", "source": "/s", "data": data}
    return json.dumps(event | {"type": "dev.ansflow.user.activity.v1"} | changes).encode()


def post(way: Way = (), content: bytes | None = None) -> bytes:
    """Make a request with an event."""
    return request("POST", PATH, [STRUCTURED, *way], body() if content is None else content)


def framed(head: bytes, rest: bytes, way: Way = (OTHER_WAY,)) -> bytes:
    """Make a request whose body is framed by other fields than its length."""
    plain = request("POST", PATH, [STRUCTURED, *way])
    return plain.removesuffix(b"\r\n") + head + b"\r\n\r\n" + rest


def is_malformed(answer: Answer) -> bool:
    """Tell whether an answer is the last one to what isn't HTTP."""
    # aiohttp's parser answers so itself.
    return (
        answer.status == 400 and answer.header("content-type") != "application/problem+json" and answer.closes
    )


def talk(fuzzed: FuzzedGateway, data: bytes, *, malformed: bool | None = False) -> list[Answer]:
    """Send bytes on a connection of their own, and check all answers to them, and what they have changed.

    Args:
        fuzzed: The gateway.
        data: What to send.
        malformed: Whether they end in something that isn't HTTP, so that nothing after it is answered; None
            where they may.

    Returns:
        The answers before that to the last request, which is added.
    """
    last = request("GET", "/health/live", [("Connection", "close")])
    answers: list[Answer] = []
    with Connection(fuzzed.port) as connection:
        connection.send(data + last)
        filled = False
        while True:
            if not filled and not connection.wait(PATIENCE_S):
                # A body that is longer than what was sent, or a head without an end: now it has one.
                connection.send(b" " * (MIB + 70_000) + b"\r\n\r\n" + last)
                filled = True
            try:
                answers.append(connection.receive())
            except ClosedError:
                break
    refused = [answer for answer in answers if is_malformed(answer)]
    assert refused in ([], answers[-1:]), "what isn't HTTP is answered once, and at the end"
    assert malformed is None or bool(refused) is malformed, answers
    if answers and not refused:
        assert answers[-1].header("content-type") == "application/health+json" or malformed is None
    told = [answer for answer in answers if answer not in refused]
    told = [answer for answer in told if answer.header("content-type") != "application/health+json"]
    for answer in told:
        if answer.status not in {404, 405, 417}:
            check_answer("POST", PATH, answer)
        assert answer.status < 500
    fuzzed.account(told)
    return told


@WAYS
def test_a_request_may_be_cut_anywhere(fuzzed: FuzzedGateway, way: Way) -> None:
    """In two pieces, whichever, and byte by byte."""
    size = len(post(way))
    with Connection(fuzzed.port) as connection:
        for cut in [*range(1, size, 3), *range(size - 8, size)]:
            sent = post(way)
            connection.send(sent[:cut])
            time.sleep(0.0005)
            answer = connection.exchange(sent[cut:])
            assert answer.status == 202
            fuzzed.check("POST", PATH, answer)
        sent = post(way)
        for at in range(len(sent)):
            connection.send(sent[at : at + 1])
        answer = connection.receive()
        assert answer.status == 202
        fuzzed.check("POST", PATH, answer)


@settings(
    max_examples=FUZZ_PIPELINES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.lists(st.sampled_from(KINDS), min_size=2, max_size=12),
    st.integers(0, 2**32),
)
def send_pipelines(fuzzed: FuzzedGateway, kinds: list[str], seed: int) -> None:
    """Send requests of several kinds one after the other, in pieces, before the first answer is read."""
    chance = Random(seed)  # noqa: S311 - reproducible, not secret
    requests, wanted = [], []
    for kind in kinds:
        content = body()
        name = json.loads(content)["id"]
        sizes = [chance.randrange(1, 60) for _ in range(chance.randrange(4))]
        sent, status = {
            "slim": (post((), content), 202),
            "other": (post((OTHER_WAY,), content), 202),
            "broken": (post((), content[:-1]), 400),
            "batch": (
                request(
                    "POST", PATH, [("Content-Type", "application/cloudevents-batch+json")], b"[%b]" % content
                ),
                200,
            ),
            "chunked": (framed(b"Transfer-Encoding: chunked", chunked(content, sizes)), 202),
            "get": (request("GET", "/health/live"), 200),
            "head": (request("HEAD", "/schemas/"), 200),
        }[kind]
        requests.append(sent)
        wanted.append((kind, status, name))
    whole = b"".join(requests)
    with Connection(fuzzed.port) as connection:
        while whole:
            cut = chance.choice([1, 7, 100, 1000, len(whole)])
            connection.send(whole[:cut])
            whole = whole[cut:]
            if chance.randrange(3) == 0:
                time.sleep(0.0003)
        answers = []
        for kind, status, name in wanted:
            answer = connection.receive(head=kind == "head")
            assert answer.status == status, (kind, answer)
            assert kind in {"get", "head", "broken"} or name.encode() in answer.body
            if kind not in {"get", "head"}:
                check_answer("POST", PATH, answer)
                answers.append(answer)
        fuzzed.account(answers)


def test_pipelined_requests_are_answered_in_order(fuzzed: FuzzedGateway) -> None:
    """Of whatever kind they are and however they come; each event counts once."""
    send_pipelines(fuzzed)
    fuzzed.check_counts()


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


@pytest.mark.parametrize("sizes", [[], [1] * 300, [1, 2, 3, 5, 8], [100, 1]])
def test_chunks_are_put_together(fuzzed: FuzzedGateway, sizes: list[int]) -> None:
    """However large they are, with extensions and trailers."""
    (answer,) = talk(fuzzed, framed(b"Transfer-Encoding: chunked", chunked(body(), sizes)))
    assert answer.status == 202
    content = body()
    extended = b"%X;name=value\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(content), content)
    (answer,) = talk(fuzzed, framed(b"transfer-encoding: Chunked", extended))
    assert answer.status == 202


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
@WAYS
def test_a_request_that_can_be_read_in_two_ways_is_refused(
    fuzzed: FuzzedGateway, way: Way, field: bytes
) -> None:
    """Lengths that contradict each other, fields given twice, controls: nothing of it is taken."""
    content = body()
    told = talk(fuzzed, framed(field.replace(LENGTH, LENGTH % len(content)), content, way), malformed=True)
    assert not any(answer.status == 202 for answer in told)


@WAYS
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


@WAYS
def test_names_of_fields_have_no_case_and_values_no_space_around(fuzzed: FuzzedGateway, way: Way) -> None:
    """As in RFC 9110; methods, paths and versions are taken as they are."""
    for change in (bytes.upper, bytes.lower, bytes.title, lambda name: name.swapcase()):
        start, *fields = post(way).partition(b"\r\n\r\n")[0].split(b"\r\n")
        content = body()
        fields = [field for field in fields if not field.lower().startswith(b"content-length")]
        fields.append(b"content-length: %d" % len(content))
        pairs = [field.partition(b":") for field in fields]
        changed = [change(name) + b":\t " + value.strip() + b" \t" for name, _, value in pairs]
        (answer,) = talk(fuzzed, b"\r\n".join([start, *changed]) + b"\r\n\r\n" + content)
        assert answer.status == 202


@WAYS
def test_older_and_closing_clients_are_answered_and_let_go(fuzzed: FuzzedGateway, way: Way) -> None:
    """HTTP/1.0 ends the connection unless asked not to; `Connection: close` ends it."""
    old, kept = (
        post([*way, *more]).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
        for more in ((), [("Connection", "keep-alive")])
    )
    for sent, closes in ((old, True), (kept, False), (post([*way, ("Connection", "close")]), True)):
        with Connection(fuzzed.port) as connection:
            connection.send(sent)
            answer = connection.receive()
            assert (answer.status, answer.closes) == (202, closes)
            fuzzed.check("POST", PATH, answer)
            if closes:
                assert connection.ended
            else:
                assert connection.exchange(request("GET", "/health/live")).status == 200


@WAYS
def test_a_client_that_waits_to_be_told_is_told_once(fuzzed: FuzzedGateway, way: Way) -> None:
    """100 comes before the body, then the answer; the next request on the connection is like any other."""
    with Connection(fuzzed.port) as connection:
        for _ in range(3):
            head, end, content = post([*way, ("Expect", "100-Continue")]).partition(b"\r\n\r\n")
            connection.send(head + end)
            assert connection.interim() == 100
            connection.send(content)
            answer = connection.receive()
            assert (answer.status, answer.interim) == (202, ())
            fuzzed.check("POST", PATH, answer)
            answer = connection.exchange(post(way))
            assert (answer.status, answer.interim) == (202, ())
            fuzzed.check("POST", PATH, answer)


@pytest.mark.parametrize("target", [PATH, "/webhooks/github", "/health/live"])
def test_another_expectation_is_a_problem(fuzzed: FuzzedGateway, target: str) -> None:
    """417 and a problem document; nothing is taken."""
    method = "GET" if target.startswith("/health") else "POST"
    sent = request(method, target, [STRUCTURED, ("Expect", "miracles")], body())
    with Connection(fuzzed.port) as connection:
        answer = connection.exchange(sent)
        assert (answer.status, answer.header("content-type")) == (417, "application/problem+json")
        assert json.loads(answer.body)["title"]
        answer = connection.exchange(post())
        assert answer.status == 202
        fuzzed.check("POST", PATH, answer)


@pytest.mark.parametrize(
    "way", [(), (OTHER_WAY,), (("Expect", "100-continue"),)], ids=["slim", "aiohttp", "expect"]
)
def test_a_body_beyond_the_bound_is_413_and_the_next_request_is_taken(
    fuzzed: FuzzedGateway, way: Way
) -> None:
    """By its length, or where that isn't told by its bytes; one of exactly the bound is taken."""
    content = body()
    beyond = content.ljust(MIB + 1)
    by_length = request("POST", PATH, [STRUCTURED, *way], beyond)
    by_bytes = framed(b"Transfer-Encoding: chunked", chunked(beyond, [65_536] * 20), way)
    for sent in (by_length, by_bytes):
        answers = talk(fuzzed, sent + post(way))
        assert [answer.status for answer in answers] == [413, 202]
        assert json.loads(answers[0].body)["field"] == "body"
    (answer,) = talk(fuzzed, request("POST", PATH, [STRUCTURED, *way], body().ljust(MIB)))
    assert answer.status == 202


@WAYS
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


def test_the_stream_is_one_for_get_alone(fuzzed: FuzzedGateway) -> None:
    """HEAD is answered and over; the path has no other method."""
    head = fuzzed.exchange("HEAD", "/status/events", request("HEAD", "/status/events"))
    assert (head.status, head.header("content-type")) == (200, "text/event-stream")
    with Connection(fuzzed.port) as connection:
        for method in ("POST", "DELETE", "OPTIONS"):
            answer = connection.exchange(request(method, "/status/events", (), b"{}"))
            assert (answer.status, answer.header("allow")) == (405, "GET,HEAD")
        connection.send(request("GET", "/status/events"))
        assert b"event: hello" in connection.read_until(b"\n\n")


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/static/..%2f..%2fetc%2fpasswd",
            "/static/%00",
            "/static/",
            "/schemas/..",
            "/schemas/%ff.json",
            "/%",
        ),
        *(
            "/%zz",
            "//",
            "//v1/events",
            "/health//",
            "/v1/events/",
            "/static/a%0d%0aSet-Cookie:%20x",
            "/schemas",
        ),
        *("/webhooks", "/webhooks/", "/webhooks/github/", "/webhooks/GitHub", "/healthy", "/.well-known/x"),
    ],
)
def test_what_is_not_there_is_a_problem(fuzzed: FuzzedGateway, target: str) -> None:
    """404 and a problem document, or 405 for other methods, and nothing of the path comes back."""
    with Connection(fuzzed.port) as connection:
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            answer = connection.exchange(request(method, target, (), b"{}"))
            assert answer.status in ({404} if method == "GET" else {404, 405})
            assert answer.header("content-type") == "application/problem+json"
            assert "set-cookie" not in dict(answer.headers)
    fuzzed.look()
