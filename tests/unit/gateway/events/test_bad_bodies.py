"""The corpus of bad input, sent to the receiver by itself: refused by name, counted once, nothing stored."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from support.receiver import BATCH, Receiver, run_finished

Case = dict[str, Any]

CORPUS: dict[str, Case] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent.parent / "corpus").glob("*.json"))
}
EVENTS = {
    name: case
    for name, case in CORPUS.items()
    if "event" in case["request"]
    and case["request"]["content_type"] != BATCH
    and not case["request"].get("headers")
}


@pytest.mark.parametrize("name", CORPUS)
async def test_bad_input_is_refused_by_name(receiver: Receiver, name: str) -> None:
    """The answer is the case's; one refusal is counted; nothing is stored."""
    request, wanted = CORPUS[name]["request"], CORPUS[name]["answer"]
    if "event" in request:
        body = json.dumps(request["event"]).encode()
    elif "raw" in request:
        body = str(request["raw"]).encode()
    else:
        told = request["repeated"]
        body = str(told["before"] + told["unit"] * told["times"] + told["after"]).encode()
    async with receiver.session.post(
        receiver.url + "/v1/events",
        data=BytesIO(body),
        headers={"Content-Type": request["content_type"], **request.get("headers", {})},
    ) as response:
        problem = await response.json(content_type="application/problem+json")
        assert response.status == problem["status"] == wanted["status"]
    assert (problem["reason"], problem["field"]) == (wanted["reason"], wanted["field"])
    assert problem["expected"] == wanted.get("expected", problem["expected"])
    assert 0 < len(problem["got"]) <= 120
    assert receiver.counted.counts == {("rejected", wanted["reason"]): 1}
    assert receiver.applied.events == []


@pytest.mark.parametrize("name", [name for name, case in EVENTS.items() if case["answer"]["status"] != 415])
async def test_a_bad_item_is_refused_alike_between_good_ones(receiver: Receiver, name: str) -> None:
    """The item has the verdict that it has alone; its neighbours are stored."""
    wanted = EVENTS[name]["answer"]
    sent = [run_finished(), EVENTS[name]["request"]["event"], run_finished()]
    status, answer, _ = await receiver.post(json.dumps(sent).encode(), BATCH)
    assert (status, answer["accepted"], answer["rejected"]) == (207, 2, 1)
    problem = answer["items"][1]["problem"]
    assert (problem["reason"], problem["field"]) == (wanted["reason"], wanted["field"])
    assert [stored.id for stored in receiver.applied.events] == [sent[0]["id"], sent[2]["id"]]
