"""What senders of events are told."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from ansflow_gateway.domain.cloudevents import Unsupported
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.rejection import Rejection
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.web import problem
from ansflow_gateway.web.answer import Answer

REJECTED: Final = "rejected"
UNSUPPORTED: Final = "unsupported"
VERDICTS: Final = (Verdict.ACCEPTED.value, Verdict.DUPLICATE.value, UNSUPPORTED, REJECTED)
"""All that can be said of an event."""

MINIMAL: Final = "return=minimal"
"""Preference (RFC 7240) for an answer to a batch that lists what was refused alone."""

Judged = Event | Unsupported | Rejection
"""What an item of a batch turned out to be."""

# Plain integers: each look at an enumeration's member costs more than the comparison.
_OK: Final = HTTPStatus.OK.value
_ACCEPTED: Final = HTTPStatus.ACCEPTED.value

_ENCODE: Final = msgspec.json.Encoder().encode


def single(event_id: str, verdict: str) -> Answer:
    """Answer to one event that wasn't refused.

    Args:
        event_id: Its id.
        verdict: One of `VERDICTS`.

    Returns:
        202 where it is new, 200 where it changed nothing.
    """
    status = _ACCEPTED if verdict == Verdict.ACCEPTED else _OK
    return Answer(status, _ENCODE({"id": event_id, "verdict": verdict}))


def batch(judged: Sequence[Judged], verdicts: Sequence[Verdict], *, minimal: bool) -> Answer:
    """Answer to a batch.

    Args:
        judged: Its items.
        verdicts: The store's verdicts on those that are events, in the same order.
        minimal: Whether to list the refused items alone.

    Returns:
        200 where nothing was refused, 207 where something was, 422 where all was.
    """
    stored = iter(verdicts)
    counts: Counter[str] = Counter(dict.fromkeys(VERDICTS, 0))
    items: list[dict[str, object]] = []
    for index, item in enumerate(judged):
        if isinstance(item, Rejection):
            verdict = REJECTED
            items.append({"index": index, "verdict": verdict, "problem": problem.members(item)})
        else:
            verdict = next(stored).value if isinstance(item, Event) else UNSUPPORTED
            if not minimal:
                items.append({"index": index, "verdict": verdict, "id": item.id})
        counts[verdict] += 1
    document = {**counts, "items": items}
    rejected = counts[REJECTED]
    # What is echoed of refused items may hold lone surrogates, which have no UTF-8 form: escape them.
    body = json.dumps(document).encode() if rejected else _ENCODE(document)
    applied = (("Preference-Applied", MINIMAL),) if minimal else ()
    return Answer(_batch_status(len(judged), rejected), body, headers=applied)


def prefers_minimal(preferences: Iterable[str]) -> bool:
    """Tell whether the sender of a batch wants the short answer.

    Args:
        preferences: The values of the request's `Prefer` headers.

    Returns:
        Whether it does.
    """
    return any(each.strip().lower() == MINIMAL for each in ",".join(preferences).split(","))


def _batch_status(items: int, rejected: int) -> int:
    if not rejected:
        return _OK
    return (HTTPStatus.UNPROCESSABLE_ENTITY if rejected == items else HTTPStatus.MULTI_STATUS).value
