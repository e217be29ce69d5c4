"""The slim path and aiohttp give the same answer to the same event, whatever it is."""

import json
import re
from random import Random
from typing import Any

import pytest
from ansflow_gateway.receivers.slim.heads import read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.event_bodies import events
from support.event_requests import batch, structured
from support.fuzzing import SHARES, FuzzedGateway
from support.raw_http import Answer, Connection, request

FUZZ_PAIRS = SHARES["pairs"]
"""Events and batches that are sent both ways; each is three requests."""

VARIANTS = 10

PATH = "/v1/events"
OTHER_WAY = ("X-Anything", "1")
"""A header that the slim path doesn't know."""

PASSING = [
    *(
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, deflate"),
        ("User-Agent", "fuzz/1"),
        ("Prefer", "return=minimal"),
    ),
    *(("Prefer", 'x;y="return=minimal"'), ("Prefer", "RETURN=MINIMAL , a"), ("Authorization", "Bearer x")),
    *(("Accept-Language", "en"), ("Connection", "keep-alive"), ("traceparent", "00-" + "0" * 55)),
]
"""Headers that the slim path knows."""

FRESH = re.compile(rb"-(\d+)\"")


def seen(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """Give what a client sees of an answer, but for the time."""
    headers = dict(answer.headers)
    assert len(headers) == len(answer.headers)
    assert headers.pop("date")
    return answer.status, headers, answer.body


def renumbered(body: bytes) -> bytes:
    """Change the numbers by which events are told apart, and not their length."""
    return FRESH.sub(lambda found: b'-%s%d"' % (found[1][:-1], 9 - int(found[1][-1:])), body)


@pytest.mark.parametrize("mode", ["structured", "batch"])
def test_both_ways_give_the_same_answer(fuzzed: FuzzedGateway, mode: str) -> None:
    """Status, headers and body, when it is new and when it is known."""
    make: Any = {"structured": structured, "batch": batch}[mode]
    drawn: st.SearchStrategy[Any] = st.lists(events(), max_size=4) if mode == "batch" else events()
    statuses: list[int] = []

    def exchange(way: Connection, parts: Any, *more: tuple[str, str]) -> tuple[int, dict[str, str], bytes]:
        headers, body = parts
        sent = request("POST", PATH, [*headers, *more], body)
        if body:  # without one, the length is 0, which aiohttp judges
            assert (read(sent.partition(b"\r\n\r\n")[0]) is None) is bool(more)
        answer = way.exchange(sent)
        fuzzed.check("POST", PATH, answer)
        return seen(answer)

    @settings(
        max_examples=FUZZ_PAIRS // 2 // VARIANTS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn, st.integers(0, 2**32))
    def send(event: Any, seed: int) -> None:
        with Connection(fuzzed.port) as slim, Connection(fuzzed.port) as full:
            for variant in range(VARIANTS):
                chance = Random(seed + variant)  # noqa: S311 - reproducible, not secret
                headers, body = make(event, chance, good=not variant)
                headers += [pair for pair in chance.sample(PASSING, 3) if pair[0] not in dict(headers)]
                headers = list(dict(headers).items())
                first = exchange(slim, (headers, body))
                again = exchange(slim, (headers, body))
                assert exchange(full, (headers, body), OTHER_WAY) == again
                statuses.append(first[0])
                # Another event with other numbers, of as many digits, is new to both.
                other = renumbered(body)
                if first[0] == 202 and other != body and json.loads(other)["id"] != json.loads(body)["id"]:
                    status, told, said = exchange(full, (headers, other), OTHER_WAY)
                    assert status == 200 or (status, told, said) == (*first[:2], renumbered(first[2]))

    send()
    assert len(statuses) >= FUZZ_PAIRS // 2
    assert statuses.count(422) > FUZZ_PAIRS // 40
    fuzzed.check_counts()
    fuzzed.check_fold()
