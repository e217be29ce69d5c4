"""Each kind of bad input has its status, names its field, is counted once and changes nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from ansflow_gateway.domain.rejection import SHED, Reason
from support.gateway import Gateway, Series, run_finished, series

Case = dict[str, Any]

CORPUS: dict[str, Case] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "corpus").glob("*.json"))
}
ABOUT_EVENTS = {
    name: case
    for name, case in CORPUS.items()
    if "event" in case["request"]
    and case["answer"]["status"] != 415
    and "headers" not in case["request"]
    and "batch" not in case["request"]["content_type"]
}
COUNTED = {
    "cicd.pipeline.run.duration",
    "cicd.pipeline.run.errors",
    "ansflow.user.activity",
    "ansflow.active_projects",
    "ansflow.gateway.events.accepted",
    "ansflow.gateway.events.duplicate",
    "ansflow.gateway.events.rejected",
}


def body_of(request: Case) -> bytes:
    """Build the bytes that a case describes."""
    if "event" in request:
        return json.dumps(request["event"]).encode()
    if "raw" in request:
        return str(request["raw"]).encode()
    repeated = request["repeated"]
    return str(repeated["before"] + repeated["unit"] * repeated["times"] + repeated["after"]).encode()


async def chunks_of(body: bytes) -> AsyncIterator[bytes]:
    """Send a body piece by piece, so that its length isn't declared."""
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


def counts(gateway: Gateway) -> dict[tuple[str, Series], float]:
    """Collect every value that events may change."""
    return {(name, key): value for name in COUNTED for key, value in gateway.values(name).items()}


@pytest.mark.parametrize("case", CORPUS.values(), ids=CORPUS)
async def test_bad_input_is_refused_by_name_and_counted(gateway: Gateway, case: Case) -> None:
    """The answer is the case's problem document; one rejection is counted; no other value moves."""
    request, wanted = case["request"], case["answer"]
    await gateway.send(run_finished())  # so that there is something that could change
    before = counts(gateway)
    headers = {"Content-Type": request["content_type"], **request.get("headers", {})}
    body = body_of(request)
    async with gateway.session.post(
        gateway.url + "/v1/events",
        data=chunks_of(body) if request.get("repeated", {}).get("chunked") else BytesIO(body),
        headers=headers,
        skip_auto_headers=["Content-Type"],
    ) as response:
        problem = await response.json(content_type="application/problem+json")
        assert response.status == wanted["status"]
    assert problem["status"] == wanted["status"]
    assert (problem["reason"], problem["field"]) == (wanted["reason"], wanted["field"])
    assert problem["expected"]
    assert problem["expected"] == wanted.get("expected", problem["expected"])
    assert 0 < len(problem["got"]) <= 120
    rejected = ("ansflow.gateway.events.rejected", series(reason=wanted["reason"]))
    assert counts(gateway) == before | {rejected: before[rejected] + 1}


def test_the_corpus_has_a_case_for_every_reason_that_a_body_can_have() -> None:
    """No reason stands without a case; those of tokens, signatures and slow bodies have tests."""
    covered = {case["answer"]["reason"] for case in CORPUS.values()}
    elsewhere = {Reason.UNAUTHORIZED, Reason.FORBIDDEN, Reason.INVALID_SIGNATURE, Reason.TIMEOUT}
    no_http = {Reason.MALFORMED_REQUEST}
    assert covered == {reason.value for reason in set(Reason) - SHED - elsewhere - no_http}


@pytest.mark.parametrize("case", ABOUT_EVENTS.values(), ids=ABOUT_EVENTS)
async def test_what_is_refused_alone_is_refused_in_a_batch_without_harm_to_its_neighbours(
    gateway: Gateway, case: Case
) -> None:
    """A bad item between two good ones gets the verdict that it gets alone; the good ones count."""
    answer = case["answer"]
    good, other = run_finished(), run_finished()
    status, body = await gateway.send(
        [good, case["request"]["event"], other], "application/cloudevents-batch+json"
    )
    assert status == 207
    assert [item["verdict"] for item in body["items"]] == ["accepted", "rejected", "accepted"]
    problem = body["items"][1]["problem"]
    assert (problem["reason"], problem["field"]) == (answer["reason"], answer["field"])
    assert sum(gateway.values("cicd.pipeline.run.duration").values()) == 2


async def test_a_body_that_does_not_arrive_is_given_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that declares a body and sends only a part gets 408 after the deadline, and is counted."""
    monkeypatch.setattr("ansflow_gateway.receivers.events.BODY_DEADLINE_S", 0.1)
    async with raw_request(gateway, 100, b'{"id":') as reader:
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    assert gateway.values("ansflow.gateway.events.rejected")[series(reason="timeout")] == 1


async def test_a_body_that_declares_itself_too_large_is_not_waited_for(gateway: Gateway) -> None:
    """The declared length alone gets 413, before any of the body is there."""
    async with raw_request(gateway, 2_000_000, b"") as reader:
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")


@asynccontextmanager
async def raw_request(gateway: Gateway, length: int, start: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """Send an event's head and the start of its body; give what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/cloudevents+json\r\n"
    writer.write(f"{head}Content-Length: {length}\r\n\r\n".encode() + start)
    yield reader
    writer.close()
    await writer.wait_closed()
