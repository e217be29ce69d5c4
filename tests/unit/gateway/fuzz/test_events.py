"""Events, good, nearly good and broken, in every mode: exactly what the answers say has happened."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.event_bodies import WHOLE, events
from support.event_requests import STRUCTURED, batch, binary, perhaps_compressed, structured
from support.fuzzing import SHARES, FuzzedGateway, check_answer, fuzzed_gateway
from support.raw_http import Answer, Connection, request

VARIANTS = 10
"""Requests made of each drawn event: changing bytes or members costs little beside the drawing."""

FUZZ_EVENTS = SHARES["events"] // 3 // VARIANTS * VARIANTS
"""Requests in each mode."""

PATH = "/v1/events"
MODES = {"structured": structured, "batch": batch, "binary": binary}

_IDS = count(1)


@pytest.mark.parametrize("mode", MODES)
def test_no_event_harms(fuzzed: FuzzedGateway, mode: str) -> None:
    """No 5xx, a documented answer to each, the field named; the journal has what was accepted, no more."""
    before, sent = fuzzed.statuses.copy(), fuzzed.requests
    make: Any = MODES[mode]
    drawn: st.SearchStrategy[Any] = st.lists(events(), max_size=4) if mode == "batch" else events()

    @settings(
        max_examples=FUZZ_EVENTS // VARIANTS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn, st.integers(0, 2**32))
    def send(event: Any, seed: int) -> None:
        chance = Random(seed)  # noqa: S311 - reproducible, not secret
        for variant in range(VARIANTS):
            headers, body = perhaps_compressed(make(event, chance, good=not variant), chance)
            fuzzed.exchange("POST", PATH, request("POST", PATH, headers, body))

    send()
    answered = fuzzed.statuses - before
    assert fuzzed.requests - sent >= FUZZ_EVENTS
    assert answered[422] > FUZZ_EVENTS // 20
    assert answered[200 if mode == "batch" else 202] > FUZZ_EVENTS // 20
    fuzzed.look()
    fuzzed.check_counts()
    fuzzed.check_fold()


def test_many_who_send_at_once_do_not_harm_each_other(fuzzed: FuzzedGateway) -> None:
    """Good and broken events on eight connections, some of them the same: each answer is true."""
    chance = Random("at once")  # noqa: S311 - reproducible, not secret
    event = {"specversion": "1.0", "id": "e", "source": "/s"}
    requests: list[bytes] = []
    for number in range(800):
        event_type = chance.choice(list(WHOLE))
        whole = {**event, "type": event_type, "data": WHOLE[event_type]}
        make: Any = chance.choice([structured, binary])
        one = request("POST", PATH, *make(whole, chance, good=number % 3 > 0))
        requests += [one] * chance.choice([1, 1, 1, 2, 3])
    chance.shuffle(requests)

    def send(part: list[bytes]) -> list[Answer]:
        with Connection(fuzzed.port) as connection:
            return [connection.exchange(each) for each in part]

    with ThreadPoolExecutor(8) as pool:
        parts = pool.map(send, (requests[start::8] for start in range(8)))
        answers = [answer for part in parts for answer in part]
    for answer in answers:
        check_answer("POST", PATH, answer)
    fuzzed.account(answers)
    assert {answer.status for answer in answers} >= {200, 202, 400, 422}
    fuzzed.check_counts()
    fuzzed.check_fold()


@pytest.mark.parametrize("event_type", WHOLE)
def test_what_is_refused_leaves_the_meters_as_they_are(fuzzed: FuzzedGateway, event_type: str) -> None:
    """A refused event with new labels makes no series, whichever of its members is at fault."""
    chance = Random(event_type)  # noqa: S311 - reproducible, not secret
    event = {"specversion": "1.0", "id": "refused", "source": "/s", "type": event_type}
    refused = 0
    before, stored = fuzzed.business(), fuzzed.journal()
    for _ in range(40):
        data = {
            name: f"new-{next(_IDS)}" if isinstance(value, str) else value
            for name, value in WHOLE[event_type].items()
        }
        data[chance.choice(list(data))] = chance.choice([[], "\ud800", {"a": 1}, ["x"]])
        body = json.dumps({**event, "data": data}).encode()
        answer = fuzzed.exchange("POST", PATH, request("POST", PATH, [("Content-Type", STRUCTURED)], body))
        refused += answer.status == 422
    assert refused > 30
    assert (fuzzed.business(), fuzzed.journal()) == (before, stored)


def test_what_was_taken_outlives_the_process_and_nothing_else_does(tmp_path: Path) -> None:
    """A second process on the same store shows what the first did, whatever it was sent."""
    chance = Random("restarted")  # noqa: S311 - reproducible, not secret
    with fuzzed_gateway(tmp_path) as gateway:
        for _ in range(300):
            event_type = chance.choice(list(WHOLE))
            event = {"specversion": "1.0", "id": "e", "source": "/s", "type": event_type}
            make: Any = chance.choice([structured, binary])
            headers, body = make({**event, "data": WHOLE[event_type]}, chance, good=False)
            gateway.exchange("POST", PATH, request("POST", PATH, headers, body))
        before, stored = gateway.business(), gateway.journal()
        assert gateway.statuses[202] > 60
        assert gateway.statuses[422] > 60
    with fuzzed_gateway(tmp_path) as gateway:
        assert (gateway.business(), gateway.journal()) == (before, stored)
        gateway.check_fold()
