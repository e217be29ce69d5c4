"""Whatever is sent is answered as the OpenAPI document says, and what is refused changes nothing."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from ansflow_gateway.web import openapi
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.event_bodies import bodies
from support.receiver import BATCH, STRUCTURED, Receiver, run_receiver

FUZZ_REQUESTS = 100
"""Requests made of the document, of each kind: as it wants them, and not as it wants them."""

FUZZ_BODIES = 400
"""Requests with the bodies that the two ways are compared with."""

SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(dict(openapi.DOCUMENT))))
POST_EVENTS = SCHEMA["/v1/events"]["POST"]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@contextmanager
def receiver_in_a_thread(path: Path) -> Iterator[Receiver]:
    """Run a receiver on a loop of its own: Schemathesis calls it over HTTP, and blocks meanwhile."""
    finished: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.new_event_loop()
    started = threading.Event()
    held: list[Receiver] = []

    async def run() -> None:
        async with run_receiver(path) as receiver:
            held.append(receiver)
            started.set()
            await finished.get()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert started.wait(10)
        yield held[0]
    finally:
        loop.call_soon_threadsafe(finished.put_nowait, None)
        thread.join(10)
        loop.close()


def state(receiver: Receiver) -> tuple[int, Counter[str]]:
    """Tell how many events are stored, and what is counted under each heading."""
    headings: Counter[str] = Counter()
    for heading, count in receiver.counted.counts.items():
        headings[heading[0]] += count
    return len(receiver.applied.events), headings


def check_effect(
    receiver: Receiver, before: tuple[int, Counter[str]], response: requests.Response | Response
) -> None:
    """See that exactly what the answer says has happened, and nothing else."""
    stored, headings = before
    if response.status_code in {405, 404}:
        assert state(receiver) == before
        return
    answer = response.json()
    said: Counter[str] = Counter()
    if "items" in answer:
        said.update({name: answer[name] for name in ("accepted", "duplicate", "unsupported", "rejected")})
    else:
        said[answer.get("verdict", "rejected")] += 1
    assert state(receiver) == (stored + said["accepted"], headings + said)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_made_of_the_document_harms(tmp_path: Path, mode: GenerationMode) -> None:
    """Conforming and violating ones: no 5xx, answers as documented, and only what they say has happened."""
    statuses: Counter[int] = Counter()

    with receiver_in_a_thread(tmp_path) as receiver:

        @settings(
            max_examples=FUZZ_REQUESTS, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(POST_EVENTS.as_strategy(generation_mode=mode))
        def send(case: "Case[Any]") -> None:
            before = state(receiver)
            response = case.call(base_url=receiver.url)
            case.validate_response(response, checks=CHECKS)
            statuses[response.status_code] += 1
            check_effect(receiver, before, response)

        send()
    assert not any(status >= 500 for status in statuses)
    assert statuses[422]


def test_no_body_harms(tmp_path: Path) -> None:
    """Good, nearly good and broken bodies: no 5xx, and only what the answers say has happened."""
    statuses: Counter[int] = Counter()

    with receiver_in_a_thread(tmp_path) as receiver, requests.Session() as session:

        @settings(max_examples=FUZZ_BODIES, deadline=None, database=None)
        @given(bodies())
        def send(body: bytes) -> None:
            before = state(receiver)
            content_type = BATCH if body.startswith(b"[") else STRUCTURED
            response = session.post(
                receiver.url + "/v1/events", data=body, headers={"Content-Type": content_type}, timeout=10
            )
            statuses[response.status_code] += 1
            check_effect(receiver, before, response)

        send()
    assert set(statuses) <= {200, 202, 207, 400, 422}
    assert statuses[422]
    assert statuses[200] + statuses[202] + statuses[207]
