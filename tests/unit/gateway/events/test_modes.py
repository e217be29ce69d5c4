"""The three modes of CloudEvents over HTTP, plain and gzipped."""

import gzip
import json
from itertools import permutations

import pytest
from ansflow_gateway.domain.events import Event, EventType, RunKey, RunResult, RunUpdate
from support.receiver import BATCH, STRUCTURED, Receiver, event, run_finished

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DATA = {"run_id": "17", "pipeline": "bäuen", "project": "shop", "result": "failure", "duration_s": 3}
BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-source": "/ci/shop",
    "ce-type": "dev.ansflow.pipeline.run.finished.v1",
    "ce-time": "2026-01-31T12:00:00Z",
    "ce-traceparent": TRACEPARENT,
}


async def test_all_modes_make_the_same_event(receiver: Receiver) -> None:
    """One event, sent structured, in a batch and in binary mode: equal, so that two are duplicates."""
    structured = {name.removeprefix("ce-"): value for name, value in BINARY.items()} | {"data": DATA}
    one = json.dumps(structured, ensure_ascii=False).encode()
    answers = [
        await receiver.post(json.dumps(DATA).encode(), "application/json; charset=utf-8", BINARY),
        await receiver.post(one, STRUCTURED),
        await receiver.post(b"[" + one + b"]", BATCH),
    ]
    assert [status for status, _, _ in answers] == [202, 200, 200]
    (stored,) = receiver.applied.events
    assert (stored.source, stored.id, stored.type) == ("/ci/shop", "e-1", EventType.PIPELINE_RUN_FINISHED)
    assert isinstance(stored.payload, RunUpdate)
    assert (stored.time, stored.payload.finished_at) == (1769860800.0, 1769860800.0)
    assert stored.payload.run == RunKey("ansflow", "/ci/shop", "17", 1)
    assert (stored.payload.pipeline, stored.payload.result) == ("bäuen", RunResult.FAILURE)
    assert (stored.payload.duration_s, stored.payload.traceparent) == (3.0, TRACEPARENT)
    assert sum(receiver.counted.counts.values()) == 3


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("caf%C3%A9", "café"),
        ("%e2%82%ac%20%22", '€ "'),
        ("100%25", "100%"),
        ('"a quoted \\" one"', 'a quoted " one'),
        ("%2525", "%25"),
    ],
)
async def test_headers_are_unquoted_and_decoded_once(receiver: Receiver, sent: str, meant: str) -> None:
    """The binding's percent-encoding is undone exactly once, after quotes."""
    status, body, _ = await receiver.post(
        json.dumps(DATA).encode(), "application/json", BINARY | {"ce-id": sent}
    )
    assert (status, body["id"]) == (202, meant)


@pytest.mark.parametrize(
    ("headers", "reason", "field"),
    [
        ({"ce-id": "50%"}, "invalid_value", "ce-id"),
        ({"ce-id": "%C3"}, "invalid_value", "ce-id"),
        ({"ce-id": "a%00"}, "invalid_value", "id"),
        ({"ce-id": ""}, "invalid_value", "id"),
        ({"ce-data": "x"}, "invalid_value", "ce-data"),
        ({"ce-datacontenttype": "application/json"}, "invalid_value", "ce-datacontenttype"),
        ({"ce-an_other": "x"}, "invalid_value", "an_other"),
        ({"ce-specversion": "0.3"}, "invalid_value", "specversion"),
        ({"ce-time": "yesterday"}, "invalid_value", "time"),
        ({"ce-type": "com.example"}, "unknown_event_type", "type"),
    ],
)
async def test_bad_headers_are_refused_by_name(
    receiver: Receiver, headers: dict[str, str], reason: str, field: str
) -> None:
    """What can't be decoded, or isn't an attribute, is refused and changes nothing."""
    status, body, _ = await receiver.post(json.dumps(DATA).encode(), "application/json", BINARY | headers)
    assert (status, body["reason"], body["field"]) == (422, reason, field)
    assert receiver.applied.events == []
    assert receiver.counted.counts == {("rejected", reason): 1}


@pytest.mark.parametrize("missing", ["ce-id", "ce-source", "ce-type", "ce-specversion"])
async def test_a_missing_header_is_refused_by_name(receiver: Receiver, missing: str) -> None:
    """Without one of the required attributes it is no event."""
    headers = {name: value for name, value in BINARY.items() if name != missing}
    status, body, _ = await receiver.post(json.dumps(DATA).encode(), "application/json", headers)
    assert (status, body["reason"], body["field"]) == (422, "missing", missing.removeprefix("ce-"))


async def test_a_header_that_comes_twice_is_refused(receiver: Receiver) -> None:
    """Which of two ids is meant can't be known."""
    headers = [("Content-Type", "application/json"), *BINARY.items(), ("ce-id", "e-2")]
    async with receiver.session.post(
        receiver.url + "/v1/events", data=json.dumps(DATA), headers=headers
    ) as response:
        assert (response.status, (await response.json(content_type=None))["field"]) == (422, "ce-id")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b'{"a":1,"a":2}'])
async def test_binary_data_must_be_a_json_object(receiver: Receiver, body: bytes) -> None:
    """Data that isn't JSON is refused as that, other JSON as no object."""
    status, _, _ = await receiver.post(body, "application/json", BINARY)
    assert status in {400, 422}
    assert receiver.applied.events == []


@pytest.mark.parametrize(("content_type", "wrap"), [(STRUCTURED, False), (BATCH, True)])
async def test_gzip_is_taken(receiver: Receiver, content_type: str, *, wrap: bool) -> None:
    """A gzipped body is inflated, whatever the mode."""
    sent = run_finished()
    body = gzip.compress(json.dumps([sent] if wrap else sent).encode())
    status, _, _ = await receiver.post(body, content_type, {"Content-Encoding": "gzip"})
    assert status in {200, 202}
    assert [stored.id for stored in receiver.applied.events] == [sent["id"]]


async def test_a_body_that_inflates_beyond_the_limit_is_refused(receiver: Receiver) -> None:
    """A megabyte and one byte, a kilobyte on the wire."""
    body = gzip.compress(b" " * (1024 * 1024 + 1))
    status, answer, _ = await receiver.post(body, STRUCTURED, {"Content-Encoding": "gzip"})
    assert (status, answer["reason"]) == (413, "body_too_large")


async def test_what_a_run_says_of_its_times_is_kept(receiver: Receiver) -> None:
    """A duration may be left out where both times are there, and defaults are the event's time."""
    base = {"run_id": "1", "pipeline": "p", "project": "s"}
    times = {"queued": "2026-01-31T11:59:00Z", "started": "2026-01-31T12:00:00+00:00"}
    sent = [
        event("dev.ansflow.pipeline.run.queued.v1", base, time=times["queued"]),
        event("dev.ansflow.pipeline.run.started.v1", base | {"started_at": times["started"]}),
        event(
            "dev.ansflow.pipeline.run.finished.v1",
            base | {"result": "success", "started_at": times["started"], "attempt": 1},
            time="2026-01-31T12:01:00.5Z",
        ),
    ]
    status, body, _ = await receiver.post(json.dumps(sent).encode(), BATCH)
    assert (status, body["accepted"]) == (200, 3)
    queued, started, finished = (stored.payload for stored in receiver.applied.events)
    assert isinstance(queued, RunUpdate)
    assert isinstance(started, RunUpdate)
    assert isinstance(finished, RunUpdate)
    assert (queued.queued_at, started.started_at) == (1769860740.0, 1769860800.0)
    assert (finished.started_at, finished.finished_at) == (1769860800.0, 1769860860.5)
    assert finished.duration_s is None


@pytest.mark.parametrize("order", list(permutations(["strict", "fast"])))
async def test_a_malformed_traceparent_is_as_none(receiver: Receiver, order: tuple[str, str]) -> None:
    """The event counts, and is linked to nothing; whichever way it is read."""
    for way in order:
        sent = run_finished() | {"traceparent": "00-xyz"} | ({"x": 1} if way == "strict" else {})
        assert (await receiver.post(json.dumps(sent).encode(), STRUCTURED))[0] == 202
    assert [_traceparent(stored) for stored in receiver.applied.events] == [None, None]


def _traceparent(stored: Event) -> str | None:
    assert isinstance(stored.payload, RunUpdate)
    return stored.payload.traceparent
