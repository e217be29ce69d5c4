"""What a sink's answers and the token's variables are read as."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django_service.config import Config as DjangoConfig
from django_service.config import ConfigError as DjangoConfigError
from fastapi_service.config import Config as FastApiConfig
from fastapi_service.config import ConfigError as FastApiConfigError
from platform_events.answers import Outcome, Refusal, Verdict, read_answer
from platform_events.losses import Losses
from platform_events.sink import HttpSink
from platform_events.token import token_from

TOKEN = "correct-horse-battery"


def answer(*items: object) -> bytes:
    """Make the body of a sink that decides event by event."""
    return json.dumps({"items": items}).encode()


TOO_LONG = {"reason": "too_long", "field": "data.action", "detail": "data.action: expected at most 200"}
TAKEN = {"index": 0, "verdict": "accepted"}
REFUSED = {"index": 1, "verdict": "rejected", "problem": TOO_LONG}
REFUSAL = Refusal(1, "too_long data.action", "data.action: expected at most 200")


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, answer(TAKEN, {"index": 1, "verdict": "duplicate"}), Outcome(Verdict.TAKEN, "HTTP 200")),
        (207, answer(TAKEN, REFUSED), Outcome(Verdict.TAKEN, "HTTP 207", refusals=(REFUSAL,))),
        (200, answer(REFUSED, REFUSED), Outcome(Verdict.TAKEN, "HTTP 200", refusals=(REFUSAL,))),
        (422, answer(REFUSED), Outcome(Verdict.REFUSED, "HTTP 422", refusals=(REFUSAL,))),
        (422, b"no", Outcome(Verdict.REFUSED, "HTTP 422")),
        (413, b'{"detail": "body: too large"}', Outcome(Verdict.REFUSED, "HTTP 413", "body: too large")),
        (404, b'{"title": "Not Found"}', Outcome(Verdict.REFUSED, "HTTP 404", "Not Found")),
        (307, b"", Outcome(Verdict.REFUSED, "HTTP 307")),
        (401, b'{"detail": "no\ncredentials"}', Outcome(Verdict.UNAUTHORIZED, "HTTP 401")),
        (403, b'{"detail": "no\\ncredentials"}', Outcome(Verdict.UNAUTHORIZED, "HTTP 403", "no?credentials")),
        (503, answer(REFUSED), Outcome(Verdict.TRY_LATER, "HTTP 503")),
    ],
)
def test_an_answer_is_read_item_by_item(status: int, body: bytes, outcome: Outcome) -> None:
    """The status says what became of the batch, the items what became of each event, and why."""
    assert read_answer(status, body, 2) == outcome


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"accepted",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'{"items": 3}',
        b'{"items": {"1": "rejected"}}',
        answer("rejected", None, {"verdict": "rejected"}),
        answer(*({"index": index, "verdict": "rejected"} for index in (-1, 2, True, 0.0, "0", None))),
        answer({"index": 0, "verdict": ["rejected"]}),
    ],
)
def test_a_sink_with_answers_of_its_own_took_what_it_said_it_took(body: bytes) -> None:
    """A 2xx whose body has no verdicts that can be read counts for the whole batch."""
    assert read_answer(202, body, 2) == Outcome(Verdict.TAKEN, "HTTP 202")


@contextlib.contextmanager
def sink_that_answers(status: int, length: int, body: bytes) -> Iterator[HttpSink]:
    """Give a sink that announces so many bytes, sends these, and hangs up."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            # Who has read enough needn't wait for the end.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield HttpSink(f"http://127.0.0.1:{server.server_port}/")
        finally:
            server.shutdown()
            thread.join()


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    """Half of the verdicts are none: the batch goes out again with its ids, by which a sink knows it."""
    body = answer(TAKEN, REFUSED)
    with sink_that_answers(207, len(body), body) as sink:
        assert sink.send([{}, {}]).refusals == (REFUSAL,)
    with sink_that_answers(207, len(body), body[:-20]) as sink:
        broken = sink.send([{}, {}])
    assert broken.verdict is Verdict.TRY_LATER
    assert broken.reason.startswith("IncompleteRead")


def test_an_answer_beyond_all_bounds_is_not_read() -> None:
    """More than a megabyte is no list of verdicts: the status counts."""
    body = answer(REFUSED) + b" " * 2**20
    with sink_that_answers(207, len(body), body) as sink:
        assert sink.send([{}, {}]) == Outcome(Verdict.TAKEN, "HTTP 207")


@pytest.mark.parametrize("problem", [None, "no", {}, {"reason": 3, "detail": []}])
def test_a_refusal_without_a_reason_is_one(problem: object) -> None:
    """An item that is rejected is lost, whatever its problem looks like."""
    refused = {"index": 0, "verdict": "rejected", "problem": problem}
    assert read_answer(207, answer(refused), 1).refusals == (Refusal(0, "rejected", "rejected"),)


def test_what_a_sink_says_is_cut_short() -> None:
    """No more than 200 characters of somebody else's text reach the log."""
    assert read_answer(400, json.dumps({"detail": "x" * 5000}).encode(), 1).detail == "x" * 200


def test_a_sink_can_not_fill_the_memory_with_causes(caplog: pytest.LogCaptureFixture) -> None:
    """Each cause is logged at its doublings; beyond the fiftieth, new causes are one."""
    losses = Losses()
    for number in range(1000):
        losses.add(1, f"cause {number}")
    assert losses.total == 1000
    assert len([record for record in caplog.records if "(cause " in record.message]) == 50
    # 950 of them: 1, 2, 4, … 512.
    assert len([record for record in caplog.records if "(other causes)" in record.message]) == 10


@pytest.mark.parametrize(
    ("config", "error"), [(DjangoConfig, DjangoConfigError), (FastApiConfig, FastApiConfigError)]
)
def test_services_read_the_token_and_keep_it_to_themselves(
    config: type[DjangoConfig | FastApiConfig], error: type[ValueError], tmp_path: Path
) -> None:
    """From its variable or from a file; never in the configuration's text; a bad one stops the start."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert config.from_environment({"EVENT_SINK_TOKEN": ""}).event_sink_token is None
    direct = config.from_environment({"EVENT_SINK_TOKEN": TOKEN})
    assert direct.event_sink_token == TOKEN
    assert TOKEN not in repr(direct)
    assert config.from_environment({"EVENT_SINK_TOKEN_FILE": str(file)}).event_sink_token == TOKEN
    with pytest.raises(error, match=r"^EVENT_SINK_TOKEN: expected"):
        config.from_environment({"EVENT_SINK_TOKEN": "two words"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "EVENT_SINK_TOKEN_FILE: expected 1 to 512 printable ASCII characters without spaces, got 0"),
        (b"hunter2\nhunter2", "EVENT_SINK_TOKEN_FILE: expected 1 to 512 printable ASCII"),
        ("hunter2ü".encode(), "EVENT_SINK_TOKEN_FILE: expected 1 to 512 printable ASCII"),
        (b"hunter2\xff", "EVENT_SINK_TOKEN_FILE: expected a text file"),
        (None, "EVENT_SINK_TOKEN_FILE: expected a readable file"),
    ],
)
def test_a_file_without_a_token_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    """The error names the variable and what was expected, and repeats nothing of the file."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="EVENT_SINK_TOKEN_FILE") as caught:
        token_from({"EVENT_SINK_TOKEN_FILE": str(file)})
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)
    cause = caught.value.__cause__
    assert cause is None or isinstance(cause, FileNotFoundError)


def test_two_tokens_are_one_too_many() -> None:
    """With both variables set nobody could tell which counts."""
    with pytest.raises(ValueError, match=r"^EVENT_SINK_TOKEN_FILE: expected nothing where EVENT_SINK_TOKEN"):
        token_from({"EVENT_SINK_TOKEN": TOKEN, "EVENT_SINK_TOKEN_FILE": os.devnull})


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "ü"])
def test_a_header_takes_no_other_token(token: str) -> None:
    """What can't stand in a header is refused when the sink is made, not when the first event is sent."""
    with pytest.raises(ValueError, match="event sink token: expected 1 to 512 printable ASCII"):
        HttpSink("http://127.0.0.1/", token=token)
