"""`POST /v1/events`: CloudEvents 1.0 in JSON, one or a batch.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import web

from ansflow_gateway.domain import cloudevents, strict_json
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.rejection import Reason, RejectedError, Rejection, reject
from ansflow_gateway.domain.store import EventStore, Verdict
from ansflow_gateway.domain.tally import EventTally
from ansflow_gateway.web import problem

PATH: Final = "/v1/events"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

MAX_BODY_BYTES: Final = 1024 * 1024
"""Largest body taken, in bytes."""

MAX_BATCH_ITEMS: Final = 10_000
"""Most items of a batch: more than there are valid events in a body. Each item has a verdict, so that a body
of `[1,1,…]` would otherwise be answered with more than a hundred megabytes."""

BODY_DEADLINE_S: Final = 10.0
"""Time in which a body must arrive, in seconds."""

_ITEMS_A_SLICE: Final = 256  # some milliseconds of validation, then others have their turn

STORE: Final = web.AppKey("store", EventStore)
"""Where events go."""

TALLY: Final = web.AppKey("tally", EventTally)
"""Who counts."""


async def post_events(request: web.Request) -> web.Response:
    """Take one event or a batch in.

    One event is answered 202 when it was new, and 200 when it was known already and changed nothing. A batch
    is answered 200 when no item was refused, 207 when some were, 422 when all were; its body has a verdict
    an item. Whatever is refused is counted by its reason and changes nothing else.
    """
    try:
        content_type = _content_type(request)
        decoded = strict_json.decode(await _body(request))
        if content_type == BATCH:
            return await _take_batch(request, decoded)
        return await _take_one(request, decoded)
    except RejectedError as error:
        request.app[TALLY].rejected(error.rejection.reason)
        return problem.response(error.rejection)


async def _take_one(request: web.Request, item: object) -> web.Response:
    event = cloudevents.parse(item)
    (verdict,) = await request.app[STORE].apply([event])
    request.app[TALLY].taken(event.type, verdict)
    status = HTTPStatus.ACCEPTED if verdict is Verdict.ACCEPTED else HTTPStatus.OK
    return web.json_response({"id": event.id, "verdict": verdict.value}, status=status)


async def _take_batch(request: web.Request, items: object) -> web.Response:
    if not isinstance(items, list):
        raise reject(Reason.WRONG_TYPE, "body", "an array of CloudEvents", items)
    if len(items) > MAX_BATCH_ITEMS:
        raise reject(Reason.BODY_TOO_LARGE, "body", f"at most {MAX_BATCH_ITEMS} items", items)
    parsed: list[Event | Rejection] = []
    for index, item in enumerate(items):
        parsed.append(_parse(item))
        if index % _ITEMS_A_SLICE == _ITEMS_A_SLICE - 1:
            await asyncio.sleep(0)
    events = [outcome for outcome in parsed if isinstance(outcome, Event)]
    verdicts = iter(await request.app[STORE].apply(events))
    tally = request.app[TALLY]
    counts = {verdict.value: 0 for verdict in Verdict} | {"rejected": 0}
    answers: list[dict[str, object]] = []
    for index, outcome in enumerate(parsed):
        if isinstance(outcome, Rejection):
            tally.rejected(outcome.reason)
            counts["rejected"] += 1
            answers.append({"index": index, "verdict": "rejected", "problem": problem.members(outcome)})
        else:
            verdict = next(verdicts)
            tally.taken(outcome.type, verdict)
            counts[verdict.value] += 1
            answers.append({"index": index, "verdict": verdict.value, "id": outcome.id})
    return web.json_response(
        {**counts, "items": answers}, status=_batch_status(len(items), counts["rejected"])
    )


def _batch_status(items: int, rejected: int) -> HTTPStatus:
    if not rejected:
        return HTTPStatus.OK
    return HTTPStatus.UNPROCESSABLE_ENTITY if rejected == items else HTTPStatus.MULTI_STATUS


def _parse(item: object) -> Event | Rejection:
    try:
        return cloudevents.parse(item)
    except RejectedError as error:
        return error.rejection


def _content_type(request: web.Request) -> str:
    given = request.headers.get("Content-Type", "")
    if request.content_type not in {STRUCTURED, BATCH} or not given:
        raise reject(Reason.UNSUPPORTED_MEDIA_TYPE, "content-type", f"{STRUCTURED} or {BATCH}", given or None)
    charset = request.charset or "utf-8"
    if charset.lower() not in {"utf-8", "utf8"}:
        raise reject(Reason.UNSUPPORTED_MEDIA_TYPE, "content-type", "charset utf-8", given)
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() != "identity":
        raise reject(Reason.UNSUPPORTED_MEDIA_TYPE, "content-encoding", "identity", coding)
    return request.content_type


async def _body(request: web.Request) -> bytes:
    expected = f"at most {MAX_BODY_BYTES} bytes"
    if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
        raise reject(Reason.BODY_TOO_LARGE, "body", expected, f"{request.content_length} bytes")
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise reject(Reason.BODY_TOO_LARGE, "body", expected, "more") from error
    except TimeoutError as error:
        raise reject(Reason.TIMEOUT, "body", f"all of it within {BODY_DEADLINE_S:g} s", "a part") from error
