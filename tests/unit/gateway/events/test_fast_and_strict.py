"""The fast way takes nothing that the strict way doesn't, and makes the same of it."""

import json
from random import Random

import pytest
from ansflow_gateway.domain import cloudevents, fast_events, strict_json
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.rejection import RejectedError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.event_bodies import WHOLE, bodies, mutated
from support.receiver import event

FUZZ_INPUTS = 10_000
"""Bodies that both ways are given."""

VARIANTS = 9
"""Bodies made of each drawn one by changing bytes: they cost little beside the drawing."""

Outcome = Event | list[object] | None


def fast(body: bytes) -> Outcome:
    """Read a body the fast way; None where it gives up."""
    one = fast_events.decode_one(body)
    if one is not None:
        return fast_events.event(one)
    batch = fast_events.decode_batch(body)
    if batch is None:
        return None
    made: list[object] = [fast_events.event(known) for known in batch]
    return None if None in made else made


def strict(body: bytes) -> object:
    """Read a body the strict way."""
    decoded = strict_json.decode(body)
    if isinstance(decoded, list):
        return [cloudevents.parse(item) for item in decoded]
    return cloudevents.parse(decoded)


@settings(max_examples=FUZZ_INPUTS // (1 + VARIANTS), deadline=None, database=None)
@given(bodies(), st.integers(0, 2**32))
@example(
    b'{"specversion":"1.0","id":"e","source":"/s","type":"dev.ansflow.user.activity.v1",'
    b'"data":{"action":"a","action":"b","user_type":"u"}}',
    0,
)
@example(
    b'{"specversion":"1.0","id":"e","source":"/s","type":"dev.ansflow.user.activity.v1",'
    b'"type":"dev.ansflow.user.activity.v1","data":{"action":"a","user_type":"u"}}',
    0,
)
@example(
    b'{"specversion":"1.0","id":"e","source":"/s","type":"dev.ansflow.websocket.activity.v1",'
    b'"data":{"endpoint":"/","closed":{"1000":1,"1000":2}}}',
    0,
)
def test_what_the_fast_way_takes_the_strict_way_takes_alike(body: bytes, seed: int) -> None:
    """For any body: the fast way gives up, or both make equal events; what is refused is refused by name."""
    chance = Random(seed)  # noqa: S311 - reproducible, not secret
    compare(body)
    for _ in range(VARIANTS):
        variant = mutated(body, chance)
        compare(variant if chance.randrange(3) else mutated(variant, chance))


def compare(body: bytes) -> None:
    """Read a body both ways."""
    quick = fast(body)
    try:
        slow = strict(body)
    except RejectedError:
        assert quick is None, "taken fast, refused strictly"
        return
    assert quick is None or (quick == slow and repr(quick) == repr(slow))


@pytest.mark.parametrize("event_type", WHOLE)
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("ascii_alone", [False, True])
def test_good_events_go_the_fast_way(event_type: str, *, batch: bool, ascii_alone: bool) -> None:
    """Each type, with null members, extensions and texts beyond ASCII where they aren't escaped."""
    good = event(
        event_type,
        WHOLE[event_type],
        time="2026-01-31T12:00:00.25+01:00",
        datacontenttype="application/json; charset=utf-8",
        subject=None,
        dataschema="urn:x",
        tracestate="a=b",
        source="/s" if ascii_alone else "/größe",
    )
    body = json.dumps([good, good] if batch else good, ensure_ascii=ascii_alone).encode()
    quick = fast(body)
    assert quick is not None
    assert quick == strict(body)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"user_type": "admin"', '"user_type": "admin", "more": 1'),
        ('"login"', '"log\\u0069n"'),
        ('"subject": null', '"sequence": 7'),
        ('"subject": null', '"subject": 7'),
    ],
)
def test_what_is_good_and_rare_goes_the_strict_way(before: str, after: str) -> None:
    """Unknown members, escapes and other extensions: the fast way gives up, and nothing is lost by it."""
    good = json.dumps(
        event("dev.ansflow.user.activity.v1", {"action": "login", "user_type": "admin"}, subject=None)
    )
    rare = good.replace(before, after)
    assert rare != good
    assert fast(rare.encode()) is None
    assert isinstance(strict(rare.encode()), Event)
