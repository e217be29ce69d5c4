"""DORA figures of whole stories, from what is sent to what the book says, by translators and a store."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansflow_gateway.domain import cloudevents
from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed, Event, IncidentUpdate
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.folding.book import Book, BookOptions
from ansflow_gateway.receivers.webhooks import github
from ansflow_gateway.receivers.webhooks.translation import Delivery, Unsupported
from ansflow_gateway.storage.opening import open_store
from ansflow_gateway.storage.options import StoreOptions
from support.dora_oracle import Told, oracle

GOLDEN: Mapping[str, Any] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "golden").glob("*.json"))
}

Order = Callable[[Sequence[Event]], Sequence[Event]]


def shuffled(events: Sequence[Event]) -> Sequence[Event]:
    """Tell everything twice, in any order."""
    twice = [*events, *events]
    random.Random(11).shuffle(twice)  # noqa: S311  # no secret
    return twice


ORDERS: Mapping[str, Order] = {
    "as told": lambda events: events,
    "backwards": lambda events: events[::-1],
    "twice, shuffled": shuffled,
}


def events_of(story: Any) -> list[Event]:
    """Translate what was sent, as the receivers do."""
    events: list[Event] = []
    for sent in story["told"]:
        if "github" in sent:
            outcome = github.translate(Delivery(sent["github"]["headers"], sent["github"]["body"]))
            if not isinstance(outcome, Unsupported):
                events.extend(outcome)
        else:
            parsed = cloudevents.parse(sent["cloudevent"])
            if isinstance(parsed, Event):
                events.append(parsed)
    return events


def seconds(moment: str) -> float:
    """Read a time."""
    return datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", GOLDEN)
async def test_a_story_has_the_figures_written_under_it(name: str, order: str, tmp_path: Path) -> None:
    """They are those worked out by hand and the oracle's, late and duplicate events included, and stay so."""
    story, now = GOLDEN[name], seconds(GOLDEN[name]["now"])
    book = Book(BookOptions(), lambda: now)
    store = open_store(str(tmp_path / "store"), book, StoreOptions(clock=lambda: now))
    await store.open()
    try:
        verdicts = [(await store.apply([event]))[0] for event in ORDERS[order](events_of(story))]
        rows = [asdict(row) for row in book.dora()]
        await store.close()
        again = Book(BookOptions(), lambda: now)
        store = open_store(str(tmp_path / "store"), again, StoreOptions(clock=lambda: now))
        await store.open()
        after_restart = [asdict(row) for row in again.dora()]
    finally:
        await store.close()
    assert rows == story["expected"]
    assert after_restart == rows
    assert Verdict.DUPLICATE in verdicts or name == "mixed"

    told: list[Told] = [
        (event.payload, now)
        for event in events_of(story)
        if isinstance(event.payload, ChangeMerged | ArtifactMade | Deployed | IncidentUpdate)
    ]
    assert len(told) == len(events_of(story))
    by_oracle = [
        dict(zip(("project", "environment", "window_days"), key, strict=True)) | row._asdict()
        for key, row in sorted(oracle(told, now).items())
    ]
    assert by_oracle == story["expected"]
