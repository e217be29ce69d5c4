"""Which heads the slim path takes: those it knows wholly, and no others."""

import pytest
from ansflow_gateway.receivers.modes import Mode
from ansflow_gateway.receivers.slim.heads import CACHED, START, Heads, read

STRUCTURED = "Content-Type: application/cloudevents+json"
PLAIN = ("Host: gateway", STRUCTURED, "Content-Length: 12")


def head(*fields: str, start: bytes = START) -> bytes:
    """Make a head of header fields, without its empty line."""
    return start + "\r\n".join(fields).encode("latin-1")


@pytest.mark.parametrize(
    ("content_type", "mode"),
    [
        ("application/cloudevents+json", Mode.STRUCTURED),
        ("Application/CloudEvents+JSON; charset=UTF-8", Mode.STRUCTURED),
        ("application/cloudevents-batch+json;charset=utf-8", Mode.BATCH),
    ],
)
def test_what_a_plain_head_says(content_type: str, mode: Mode) -> None:
    """Names of fields and types are compared whatever their case; space around values is none of theirs."""
    found = read(
        head(
            "host:gateway:8080",
            f"CONTENT-TYPE: \t{content_type}\t ",
            "content-length: 1048576",
            "User-Agent: curl/8",
            "Accept: */*",
            "Accept-Encoding: gzip, deflate",
            "Connection: Keep-Alive",
            "Authorization: Bearer fake-token",
            "Prefer: respond-async, return=minimal",
        )
    )
    assert found is not None
    assert (found.mode, found.length) == (mode, 1_048_576)
    assert (found.authorization, found.minimal, found.lasting) == ("Bearer fake-token", True, True)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((*PLAIN, "X-Anything: 1"), id="a field that isn't known"),
        pytest.param((*PLAIN, "Content-Encoding: gzip"), id="a content coding"),
        pytest.param((*PLAIN, "Transfer-Encoding: chunked"), id="a transfer coding"),
        pytest.param((*PLAIN, "Expect: 100-continue"), id="an expectation"),
        pytest.param((*PLAIN, "Connection: close"), id="the last request"),
        pytest.param((*PLAIN, "Connection: keep-alive, upgrade"), id="an upgrade"),
        pytest.param((*PLAIN, "Content-Length: 12"), id="a length given twice"),
        pytest.param((*PLAIN, "Host: other"), id="a host given twice"),
        pytest.param((*PLAIN, " folded"), id="a folded line"),
        pytest.param((*PLAIN, "Accept : a"), id="space before the colon"),
        pytest.param((*PLAIN, "Accept: \x00"), id="a control"),
        pytest.param((*PLAIN, "Accept: a\nb: c"), id="a bare line feed"),
        pytest.param((*PLAIN, "Accept: é"), id="beyond ASCII"),
        pytest.param((*PLAIN, "no field"), id="no field"),
        pytest.param((STRUCTURED, "Content-Length: 12"), id="no host"),
        pytest.param(("Host: gateway", STRUCTURED), id="no length"),
        pytest.param(("Host: gateway", "Content-Length: 12"), id="no type"),
        pytest.param(("Host: gateway", STRUCTURED, "Content-Length: 0"), id="no body"),
        pytest.param(("Host: gateway", STRUCTURED, "Content-Length: +1"), id="a length with a sign"),
        pytest.param(("Host: gateway", STRUCTURED, "Content-Length: 1_0"), id="a length as Python has it"),
        pytest.param(("Host: gateway", STRUCTURED, "Content-Length: 1048577"), id="too long a body"),
        pytest.param(("Host: gateway", "Content-Type: application/json", "Content-Length: 12"), id="binary"),
        pytest.param(
            ("Host: gateway", f"{STRUCTURED}; charset=latin-1", "Content-Length: 12"), id="another charset"
        ),
    ],
)
def test_what_is_left_to_aiohttp(fields: tuple[str, ...]) -> None:
    """Whatever isn't plain, well-formed and wholly known isn't judged here."""
    assert read(head(*PLAIN)) is not None
    assert read(head(*fields)) is None


@pytest.mark.parametrize(
    "start",
    [
        b"POST /v1/events HTTP/1.0\r\n",
        b"POST /v1/events?x=1 HTTP/1.1\r\n",
        b"POST /v1/events/ HTTP/1.1\r\n",
        b"post /v1/events HTTP/1.1\r\n",
        b"PUT /v1/events HTTP/1.1\r\n",
        b"POST  /v1/events HTTP/1.1\r\n",
        b"POST http://gateway/v1/events HTTP/1.1\r\n",
    ],
)
def test_other_request_lines_are_left_to_aiohttp(start: bytes) -> None:
    """One request line is known."""
    assert read(head(*PLAIN, start=start)) is None


def test_what_proxies_and_traced_senders_add_changes_nothing() -> None:
    """Their fields are known, but not such a head remembered."""
    added = read(head(*PLAIN, "X-Forwarded-For: 203.0.113.7", "X-Request-ID: 5f1c", "baggage: a=b"))
    plain = read(head(*PLAIN))
    assert added is not None
    assert plain is not None
    assert (added.mode, added.length, added.lasting) == (plain.mode, plain.length, False)


def test_heads_are_remembered_but_for_those_of_traced_senders_and_not_without_bound() -> None:
    """The same head is read once; trace contexts, which never come again, take no room."""
    heads = Heads()
    plain = head(*PLAIN)
    assert heads.read(plain) is heads.read(bytes(bytearray(plain)))
    traced = head(*PLAIN, "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    found = heads.read(traced)
    assert found is not None
    assert heads.read(traced) is not found
    for length in range(1, CACHED + 2):
        heads.read(head("Host: gateway", STRUCTURED, f"Content-Length: {length}"))
    assert heads.read(plain) is not None
