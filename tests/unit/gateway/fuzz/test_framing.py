"""HTTP/1.1 as clients may well send it: cut, pipelined, chunked, old. One request, one answer, one effect."""

import json
import time
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.framing import MIB, OTHER_WAY, PATH, STRUCTURED, WAYS, Way, body, framed, post, talk
from support.fuzzing import FuzzedGateway, check_answer
from support.raw_http import Connection, chunked, request

FUZZ_PIPELINES = 60
"""Connections with up to a dozen requests one after the other."""

KINDS = ["slim", "other", "broken", "batch", "chunked", "get", "head"]
"""Of requests that follow each other on a connection."""

by_both = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
"""Of a test that is for the slim path and for aiohttp."""


@by_both
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


@pytest.mark.parametrize("sizes", [[], [1] * 300, [1, 2, 3, 5, 8], [100, 1]])
def test_chunks_are_put_together(fuzzed: FuzzedGateway, sizes: list[int]) -> None:
    """However large they are, with extensions and trailers."""
    (answer,) = talk(fuzzed, framed(b"Transfer-Encoding: chunked", chunked(body(), sizes)))
    assert answer.status == 202
    content = body()
    extended = b"%X;name=value\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(content), content)
    (answer,) = talk(fuzzed, framed(b"transfer-encoding: Chunked", extended))
    assert answer.status == 202


@by_both
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


@by_both
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


@by_both
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
