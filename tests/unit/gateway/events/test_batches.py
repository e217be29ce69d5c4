"""Batches: a verdict an item, each atomic by itself; and what happens where the store can't take them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Settled, Verdict
from ansflow_gateway.errors import OverloadedError, StoreUnavailableError
from support.receiver import BATCH, STRUCTURED, Receiver, run_finished, run_receiver

RUN_FINISHED = "dev.ansflow.pipeline.run.finished.v1"


class Refusing:
    """A store that takes nothing."""

    problem = "the disk is full"
    waiting = 0

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def open(self) -> None:
        """Need nothing."""

    async def apply(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Refuse."""
        raise self._error

    def submit(self, events: Sequence[Event], settled: Settled) -> None:
        """Refuse."""
        raise self._error

    async def close(self) -> None:
        """Hold nothing."""


async def test_a_bad_item_costs_its_neighbours_nothing(receiver: Receiver) -> None:
    """New, repeated and bad items are told apart by index, and only the good ones are stored, in order."""
    first, second = run_finished(), run_finished()
    sent = [first, {"id": 1}, first, 7, second, run_finished(duration_s=-1)]
    status, answer, _ = await receiver.post(json.dumps(sent).encode(), BATCH)
    verdicts = ["accepted", "rejected", "duplicate", "rejected", "accepted", "rejected"]
    assert status == 207
    assert [(item["index"], item["verdict"]) for item in answer["items"]] == list(enumerate(verdicts))
    assert [answer["items"][index]["problem"]["field"] for index in (1, 3, 5)] == [
        "specversion",
        "body",
        "data.duration_s",
    ]
    assert [stored.id for stored in receiver.applied.events] == [first["id"], second["id"]]
    assert receiver.counted.counts == {
        ("accepted", RUN_FINISHED): 2,
        ("duplicate", RUN_FINISHED): 1,
        ("rejected", "missing"): 1,
        ("rejected", "wrong_type"): 1,
        ("rejected", "out_of_range"): 1,
    }


async def test_a_whole_body_of_good_events_is_taken(receiver: Receiver) -> None:
    """Thousands of events in a megabyte: each accepted, each answered in its place."""
    sent = [run_finished() for _ in range(4000)]
    status, answer, _ = await receiver.post(json.dumps(sent).encode(), BATCH)
    assert (status, answer["accepted"]) == (200, 4000)
    assert [item["id"] for item in answer["items"]] == [event["id"] for event in sent]
    assert len(receiver.applied.events) == 4000


async def test_the_short_answer_lists_the_refused_alone(receiver: Receiver) -> None:
    """`Prefer: return=minimal` keeps the counts, and says that it was heeded."""
    sent = [run_finished(), run_finished(), {"id": 1}]
    status, answer, headers = await receiver.post(
        json.dumps(sent).encode(), BATCH, {"Prefer": "wait=5, return=minimal"}
    )
    assert (status, headers["Preference-Applied"]) == (207, "return=minimal")
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert [item["index"] for item in answer["items"]] == [2]
    status, answer, headers = await receiver.post(json.dumps(sent[:2]).encode(), BATCH)
    assert (status, len(answer["items"]), "Preference-Applied" in headers) == (200, 2, False)


async def test_an_empty_batch_is_fine(receiver: Receiver) -> None:
    """Nothing was refused, and nothing happens."""
    status, answer, _ = await receiver.post(b" [ ] ", BATCH)
    assert (status, answer["items"], receiver.counted.counts) == (200, [], {})


@pytest.mark.parametrize(
    ("error", "status", "reason", "retry_after"),
    [
        (OverloadedError("50000 wait in /secret/place"), 429, "overloaded", "1"),
        (StoreUnavailableError("/secret/place: disk full"), 503, "unavailable", "5"),
    ],
)
async def test_what_the_store_cannot_take_is_shed_and_counted_by_the_event(
    tmp_path: Path, error: Exception, status: int, reason: str, retry_after: str
) -> None:
    """One event and a batch: nothing is taken, the sender is told when to retry, each item is counted."""
    async with run_receiver(tmp_path, Refusing(error)) as receiver:
        one = json.dumps(run_finished()).encode()
        batch = json.dumps([run_finished(), {"id": 1}, run_finished()]).encode()
        for body, content_type in ((one, STRUCTURED), (batch, BATCH)):
            found, answer, headers = await receiver.post(body, content_type)
            assert (found, answer["status"], answer["reason"]) == (status, status, reason)
            assert headers["Retry-After"] == retry_after
            assert "secret" not in json.dumps(answer)
        assert receiver.counted.counts == {("shed", reason): 4}


async def test_refusals_need_no_store(tmp_path: Path) -> None:
    """Where all of a batch is bad, that is said, whatever the store's state."""
    async with run_receiver(tmp_path, Refusing(OverloadedError("full"))) as receiver:
        assert (await receiver.post(b"[1]", BATCH))[0] == 422
        assert receiver.counted.counts == {("rejected", "wrong_type"): 1}
