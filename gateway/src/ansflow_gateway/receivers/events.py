"""`POST /v1/events`: CloudEvents 1.0 over HTTP: structured, in batches, and binary.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from ansflow_gateway.domain import cloudevents, fast_events, strict_json
from ansflow_gateway.domain.cloudevents import Unsupported
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.rejection import Reason, RejectedError, Rejection, reject
from ansflow_gateway.domain.store import EventStore, Verdict
from ansflow_gateway.domain.tally import EventTally
from ansflow_gateway.errors import OverloadedError, StoreUnavailableError
from ansflow_gateway.receivers import answers
from ansflow_gateway.receivers.answers import Judged
from ansflow_gateway.receivers.modes import Mode, binary_event, mode_of
from ansflow_gateway.web import problem
from ansflow_gateway.web.body import BODY_DEADLINE_S, read_body

PATH: Final = "/v1/events"

MAX_BODY_BYTES: Final = 1024 * 1024
"""Largest body taken, in bytes, inflated or not."""

MAX_BATCH_ITEMS: Final = 10_000
"""Most items of a batch: more than there are valid events in a body. Each item has a verdict, so that a body
of `[1,1,…]` would otherwise be answered with more than a hundred megabytes."""

RETRY_AFTER_S: Final = {Reason.OVERLOADED: 1, Reason.UNAVAILABLE: 5}
"""When to send again what was shed: a queue is short, a full disk is not; in seconds."""

_SHED_GOT: Final = {
    Reason.OVERLOADED: "one with a full queue",
    Reason.UNAVAILABLE: "one that can't commit at present",
}

_FAST_SLICE: Final = 2048
_STRICT_SLICE: Final = 256
# Both are some milliseconds of work, then others have their turn.

STORE: Final = web.AppKey("store", EventStore)
"""Where events go."""

TALLY: Final = web.AppKey("tally", EventTally)
"""Who counts."""


async def post_events(request: web.Request) -> web.Response:
    """Take one event or a batch in.

    One event is answered 202 when it was new, and 200 when it was known already, or valid but unsupported,
    and changed nothing. A batch is answered 200 when no item was refused, 207 when some were, 422 when all
    were; its body has a verdict an item. Whatever is refused is counted by its reason and changes nothing
    else. Where the store can't take them, nothing of a request is taken: 429 or 503 with `Retry-After`.
    """
    try:
        mode = mode_of(request)
        body = await read_body(request, MAX_BODY_BYTES, BODY_DEADLINE_S)
        match mode:
            case Mode.STRUCTURED:
                return await _take_one(request, _fast_one(body) or _strict_one(body))
            case Mode.BINARY:
                return await _take_one(request, cloudevents.parse(binary_event(request, body)))
            case Mode.BATCH:
                return await _take_batch(request, await _fast_batch(body) or await _strict_batch(body))
    except RejectedError as error:
        request.app[TALLY].rejected(error.rejection, PATH)
        return problem.response(error.rejection)


def _fast_one(body: bytes) -> Event | None:
    known = fast_events.decode_one(body)
    return fast_events.event(known) if known else None


def _strict_one(body: bytes) -> Event | Unsupported:
    return cloudevents.parse(strict_json.decode(body))


async def _fast_batch(body: bytes) -> Sequence[Judged] | None:
    batch = fast_events.decode_batch(body)
    if not batch or len(batch) > MAX_BATCH_ITEMS:
        return None
    events: list[Event] = []
    for start in range(0, len(batch), _FAST_SLICE):
        if start:
            await asyncio.sleep(0)
        for known in batch[start : start + _FAST_SLICE]:
            event = fast_events.event(known)
            if event is None:
                return None
            events.append(event)
    return events


async def _strict_batch(body: bytes) -> Sequence[Judged]:
    items = strict_json.decode(body)
    if not isinstance(items, list):
        raise reject(Reason.WRONG_TYPE, "body", "an array of CloudEvents", items)
    if len(items) > MAX_BATCH_ITEMS:
        raise reject(Reason.BODY_TOO_LARGE, "body", f"at most {MAX_BATCH_ITEMS} items", items)
    judged: list[Judged] = []
    for index, item in enumerate(items):
        if index % _STRICT_SLICE == _STRICT_SLICE - 1:
            await asyncio.sleep(0)
        try:
            judged.append(cloudevents.parse(item))
        except RejectedError as error:
            judged.append(error.rejection)
    return judged


async def _take_one(request: web.Request, item: Event | Unsupported) -> web.Response:
    tally = request.app[TALLY]
    if isinstance(item, Unsupported):
        tally.unsupported(item.system, item.kind)
        return answers.single(item.id, answers.UNSUPPORTED)
    try:
        (verdict,) = await request.app[STORE].apply([item])
    except (OverloadedError, StoreUnavailableError) as error:
        return _shed(tally, 1, error)
    tally.taken(item.type, verdict)
    return answers.single(item.id, verdict)


async def _take_batch(request: web.Request, judged: Sequence[Judged]) -> web.Response:
    events = [item for item in judged if isinstance(item, Event)]
    tally = request.app[TALLY]
    verdicts: Sequence[Verdict] = ()
    if events:
        try:
            verdicts = await request.app[STORE].apply(events)
        except (OverloadedError, StoreUnavailableError) as error:
            # The sender comes again with all of them: those that are to be refused are counted then.
            return _shed(tally, len(judged), error)
    taken = Counter(zip([event.type for event in events], verdicts, strict=True))
    for (event_type, verdict), count in taken.items():
        tally.taken(event_type, verdict, count)
    if len(events) < len(judged):
        for item in judged:
            if isinstance(item, Rejection):
                tally.rejected(item, PATH)
            elif isinstance(item, Unsupported):
                tally.unsupported(item.system, item.kind)
    return answers.batch(judged, verdicts, minimal=answers.prefers_minimal(request))


def _shed(tally: EventTally, count: int, error: OverloadedError | StoreUnavailableError) -> web.Response:
    reason = Reason.OVERLOADED if isinstance(error, OverloadedError) else Reason.UNAVAILABLE
    tally.shed(reason, count)
    # The error's own words are for the log and the health document: they may name files.
    rejection = Rejection(reason, "body", "a store that takes it", _SHED_GOT[reason])
    return problem.response(rejection, {"Retry-After": str(RETRY_AFTER_S[reason])})
