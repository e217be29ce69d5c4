"""What a sink's answer says became of a batch, and of each of its events.

A sink that decides event by event answers 200, 207 or 422 with a JSON object whose `items` have an `index`, a
`verdict`, and a `problem` (RFC 9457) where that is `rejected`. A sink that answers otherwise is judged by its
status alone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

_UNAUTHORIZED = frozenset({401, 403})
_TRY_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_ALL_REFUSED = 422
_LONGEST_TEXT = 200


class Verdict(Enum):
    """What a sink made of a batch."""

    TAKEN = auto()
    TRY_LATER = auto()
    REFUSED = auto()
    UNAUTHORIZED = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that a sink refused.

    Args:
        index: Its place in the batch.
        cause: The kind of the refusal, the same for all events with the same fault.
        detail: What is wrong with this one.
    """

    index: int
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on a batch, and the reasons in words.

    Args:
        verdict: What became of the batch; of a batch that was taken, but for the refusals.
        reason: The kind of the answer, for the log.
        detail: What the sink said beyond it; empty for nothing.
        refusals: Events that the sink refused by themselves, each once.
    """

    verdict: Verdict
    reason: str
    detail: str = ""
    refusals: tuple[Refusal, ...] = ()

    @property
    def told(self) -> str:
        """The reason with its detail."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def read_answer(status: int, body: bytes, size: int) -> Outcome:
    """Read a sink's answer to a batch; whatever the body is, it is no error.

    Args:
        status: The HTTP status.
        body: The answer's body.
        size: How many events the batch has.

    Returns:
        `TAKEN` for 2xx, with what was refused of it; `UNAUTHORIZED` for 401 and 403; `TRY_LATER` where the
        sink asks for patience; else `REFUSED`.
    """
    document = _json_object(body)
    reason = f"HTTP {status}"
    if 200 <= status < 300:
        return Outcome(Verdict.TAKEN, reason, refusals=_refusals(document, size))
    detail = _text(document, "detail") or _text(document, "title")
    if status in _UNAUTHORIZED:
        return Outcome(Verdict.UNAUTHORIZED, reason, detail)
    if status in _TRY_LATER:
        return Outcome(Verdict.TRY_LATER, reason, detail)
    refusals = _refusals(document, size) if status == _ALL_REFUSED else ()
    return Outcome(Verdict.REFUSED, reason, detail, refusals)


def _json_object(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refusals(document: dict[str, object], size: int) -> tuple[Refusal, ...]:
    # By index, as an event can be lost once only, however often a sink names it.
    return tuple({refusal.index: refusal for refusal in _rejected(document.get("items"), size)}.values())


def _rejected(items: object, size: int) -> Iterator[Refusal]:
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict) or item.get("verdict") != "rejected":
            continue
        index = item.get("index")
        # A bool is an int, but no index.
        if type(index) is not int or not 0 <= index < size:
            continue
        problem = item.get("problem")
        fault = problem if isinstance(problem, dict) else {}
        cause = " ".join(filter(None, (_text(fault, "reason"), _text(fault, "field")))) or "rejected"
        yield Refusal(index, cause, _text(fault, "detail") or _text(fault, "title") or cause)


def _text(document: dict[str, object], name: str) -> str:
    """Return a member for the log: short, and on one line, as it is somebody else's text."""
    value = document.get(name)
    if not isinstance(value, str):
        return ""
    return "".join(character if character.isprintable() else "?" for character in value[:_LONGEST_TEXT])
