"""`POST /v1/events`: CloudEvents 1.0 over HTTP: structured, in batches, and binary.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
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
from ansflow_gateway.web.answer import Answer
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

SHEDDING: Final = (OverloadedError, StoreUnavailableError)
"""What a store raises that can't take events at present."""

_FAST_SLICE: Final = 2048
_STRICT_SLICE: Final = 256
# Both are some milliseconds of work, then others have their turn.


class EventReceiver:
    """Judges events, has them stored, counts them, and says what their sender is answered.

    One event is answered 202 when it was new, and 200 when it was known already, or valid but unsupported,
    and changed nothing. A batch is answered 200 when no item was refused, 207 when some were, 422 when all
    were; its body has a verdict an item. Whatever is refused is counted by its reason and changes nothing
    else. Where the store can't take them, nothing of a request is taken: 429 or 503 with `Retry-After`.

    Args:
        store: Where events go.
        tally: Who counts.
    """

    def __init__(self, store: EventStore, tally: EventTally) -> None:
        self._store = store
        self._tally = tally

    def submit(self, body: bytes, told: Callable[[Answer], None]) -> bool:
        """Take the frequent kind of event in without a task: one of AnsFlow's own, plain and valid.

        Args:
            body: The structured event.
            told: Is given the answer, on the event loop, never before this returns.

        Returns:
            Whether it was taken on; if not, nothing was done, and `take_strictly` has to judge.
        """
        event = _fast_one(body)
        if event is None:
            return False

        def settled(verdicts: Sequence[Verdict], error: Exception | None) -> None:
            if error is not None:
                told(self._shed(1, error))
                return
            (verdict,) = verdicts
            self._tally.taken(event.type, verdict)
            told(answers.single(event.id, verdict))

        try:
            self._store.submit([event], settled)
        except SHEDDING as error:
            asyncio.get_running_loop().call_soon(told, self._shed(1, error))
        return True

    async def take_one(self, body: bytes) -> Answer:
        """Take one structured event in.

        Args:
            body: The event in JSON.

        Returns:
            The answer.
        """
        event = _fast_one(body)
        return await (self.take_strictly(body) if event is None else self._take_one(event))

    async def take_strictly(self, body: bytes) -> Answer:
        """Take one structured event in that `submit` left: whatever is the matter with it is told.

        Args:
            body: The event in JSON.

        Returns:
            The answer.
        """
        try:
            item = cloudevents.parse(strict_json.decode(body))
        except RejectedError as error:
            return self.refuse(error.rejection)
        return await self._take_one(item)

    async def take_decoded(self, event: dict[str, object]) -> Answer:
        """Take one event in that is decoded already.

        Args:
            event: What its structured form would be.

        Returns:
            The answer.
        """
        try:
            item = cloudevents.parse(event)
        except RejectedError as error:
            return self.refuse(error.rejection)
        return await self._take_one(item)

    async def take_batch(self, body: bytes, *, minimal: bool) -> Answer:
        """Take a batch in.

        Args:
            body: An array of events in JSON.
            minimal: Whether the answer is to list the refused items alone.

        Returns:
            The answer.
        """
        try:
            judged = await _fast_batch(body) or await _strict_batch(body)
        except RejectedError as error:
            return self.refuse(error.rejection)
        events = [item for item in judged if isinstance(item, Event)]
        verdicts: Sequence[Verdict] = ()
        if events:
            try:
                verdicts = await self._store.apply(events)
            except SHEDDING as error:
                # The sender comes again with all of them: those that are to be refused are counted then.
                return self._shed(len(judged), error)
        taken = Counter(zip([event.type for event in events], verdicts, strict=True))
        for (event_type, verdict), count in taken.items():
            self._tally.taken(event_type, verdict, count)
        if len(events) < len(judged):
            for item in judged:
                if isinstance(item, Rejection):
                    self._tally.rejected(item, PATH)
                elif isinstance(item, Unsupported):
                    self._tally.unsupported(item.system, item.kind)
        return answers.batch(judged, verdicts, minimal=minimal)

    def refuse(self, rejection: Rejection) -> Answer:
        """Count the refusal of a request.

        Args:
            rejection: Why it is refused.

        Returns:
            The answer.
        """
        self._tally.rejected(rejection, PATH)
        return problem.answer(rejection)

    async def _take_one(self, item: Event | Unsupported) -> Answer:
        if isinstance(item, Unsupported):
            self._tally.unsupported(item.system, item.kind)
            return answers.single(item.id, answers.UNSUPPORTED)
        try:
            (verdict,) = await self._store.apply([item])
        except SHEDDING as error:
            return self._shed(1, error)
        self._tally.taken(item.type, verdict)
        return answers.single(item.id, verdict)

    def _shed(self, count: int, error: Exception) -> Answer:
        reason = Reason.OVERLOADED if isinstance(error, OverloadedError) else Reason.UNAVAILABLE
        self._tally.shed(reason, count)
        # The error's own words are for the log and the health document: they may name files.
        rejection = Rejection(reason, "body", "a store that takes it", _SHED_GOT[reason])
        return problem.answer(rejection, {"Retry-After": str(RETRY_AFTER_S[reason])})


RECEIVER: Final = web.AppKey("event_receiver", EventReceiver)
"""Who takes events in."""


async def post_events(request: web.Request) -> web.Response:
    """Take one event or a batch in; see `EventReceiver`."""
    receiver = request.app[RECEIVER]
    try:
        mode = mode_of(request)
        body = await read_body(request, MAX_BODY_BYTES, BODY_DEADLINE_S)
        decoded = binary_event(request, body) if mode is Mode.BINARY else {}
    except RejectedError as error:
        return receiver.refuse(error.rejection).response()
    match mode:
        case Mode.STRUCTURED:
            answer = await receiver.take_one(body)
        case Mode.BINARY:
            answer = await receiver.take_decoded(decoded)
        case Mode.BATCH:
            minimal = answers.prefers_minimal(request.headers.getall("Prefer", []))
            answer = await receiver.take_batch(body, minimal=minimal)
    return answer.response()


def _fast_one(body: bytes) -> Event | None:
    known = fast_events.decode_one(body)
    return fast_events.event(known) if known else None


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
