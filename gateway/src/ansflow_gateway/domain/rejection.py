"""Why something that was sent to the gateway is refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ansflow_gateway.errors import GatewayError

GOT_LIMIT: Final = 120
"""Longest rendering of a refused value that is echoed to its sender, in characters."""


class Reason(StrEnum):
    """The closed set of reasons; each is a value of the `reason` attribute."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    INVALID_SIGNATURE = "invalid_signature"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    BODY_TOO_LARGE = "body_too_large"
    TIMEOUT = "timeout"
    MALFORMED_REQUEST = "malformed_request"
    BROKEN_BODY = "broken_body"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    NOT_FINITE = "not_finite"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    MISSING = "missing"
    WRONG_TYPE = "wrong_type"
    INVALID_VALUE = "invalid_value"
    OUT_OF_RANGE = "out_of_range"
    TOO_LONG = "too_long"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"


SHED: Final = frozenset({Reason.OVERLOADED, Reason.UNAVAILABLE})
"""Reasons that aren't the sender's fault: the same is to be sent again later. They count as shed, never as
rejected."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refusal.

    Args:
        reason: Why, out of the closed set.
        field: Dotted path of what is at fault, relative to the event (`data.duration_s`), or `body`,
            or a header's name in lower case.
        expected: What would have been accepted, in words.
        got: Bounded rendering of what came instead.
    """

    reason: Reason
    field: str
    expected: str
    got: str


class RejectedError(GatewayError):
    """Something sent to the gateway is refused."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(f"{rejection.field}: expected {rejection.expected}, got {rejection.got}")
        self.rejection = rejection


def reject(reason: Reason, field: str, expected: str, got: object) -> RejectedError:
    """Make the error that refuses `got`.

    Args:
        reason: Why, out of the closed set.
        field: Path of what is at fault.
        expected: What would have been accepted.
        got: The value itself; its rendering is bounded by `GOT_LIMIT`.

    Returns:
        The error, to be raised by the caller.
    """
    return RejectedError(Rejection(reason, bound(field), expected, render(got)))


def explain(reason: Reason, field: str, expected: str, got: str) -> RejectedError:
    """Make the error that refuses what `got` describes in words; they aren't quoted as a sent text is.

    Args:
        reason: Why, out of the closed set.
        field: Path of what is at fault.
        expected: What would have been accepted.
        got: What came instead, in words.

    Returns:
        The error, to be raised by the caller.
    """
    return RejectedError(Rejection(reason, bound(field), expected, bound(got)))


def render(value: object) -> str:
    """Render a foreign value in at most `GOT_LIMIT` characters.

    Args:
        value: Anything that came out of `strict_json.decode`.

    Returns:
        JSON-like text for scalars; only kind and size for containers, whose `repr` may be huge.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return f"an object of {len(value)} members"
        case list():
            return f"an array of {len(value)} items"
        case str():
            return bound(repr(value[: GOT_LIMIT + 1]))
        case int() if value.bit_length() > 256:
            # Digits of a huge integer cost quadratic time and can be refused by the interpreter.
            return f"an integer of {value.bit_length()} bits"
        case _:
            return bound(str(value))


def bound(text: str) -> str:
    """Cut a text to `GOT_LIMIT` characters, visibly.

    Args:
        text: Any text.

    Returns:
        The text itself, or its beginning and an ellipsis.
    """
    return text if len(text) <= GOT_LIMIT else text[: GOT_LIMIT - 1] + "…"
