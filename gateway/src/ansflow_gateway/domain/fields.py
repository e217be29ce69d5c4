"""Typed reading of members of decoded JSON objects; each refusal names the field and what was expected."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from ansflow_gateway.domain.rejection import Reason, RejectedError, Rejection, bound, explain, reject

LABEL_LIMIT: Final = 200
"""Longest text that may become a label's value, in characters."""

# What CloudEvents 1.0 ("Type System", String) forbids: controls, lone surrogates, noncharacters. A lone
# surrogate has no UTF-8 form: as a label it would make every later export fail.
FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What no text may hold."""

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


def optional_text(
    members: Mapping[str, object], name: str, limit: int = LABEL_LIMIT, at: str = ""
) -> str | None:
    """Read a text that may be absent.

    Args:
        members: The decoded object.
        name: The member's name; `null` counts as absent (CloudEvents 1.0 JSON format, 2.2).
        limit: Most characters.
        at: Prefix of the path that a refusal names, such as `data.`.

    Returns:
        The text, of 1 to `limit` characters, or None.

    Raises:
        RejectedError: `wrong_type`, `invalid_value` (empty, control characters), or `too_long`.
    """
    value = members.get(name)
    if value is None:
        return None
    expected = f"a string of 1 to {limit} characters"
    if not isinstance(value, str):
        raise reject(Reason.WRONG_TYPE, at + name, expected, value)
    if not value:
        raise reject(Reason.INVALID_VALUE, at + name, expected, value)
    if len(value) > limit:
        raise explain(Reason.TOO_LONG, at + name, expected, f"{len(value)} characters")
    if FORBIDDEN.search(value):
        raise reject(
            Reason.INVALID_VALUE, at + name, "a string without control characters or surrogates", value
        )
    return value


def text(members: Mapping[str, object], name: str, limit: int = LABEL_LIMIT, at: str = "") -> str:
    """Read a text that must be there; see `optional_text` for arguments and refusals.

    Returns:
        The text, of 1 to `limit` characters.

    Raises:
        RejectedError: `missing`, and whatever `optional_text` raises.
    """
    value = optional_text(members, name, limit, at)
    if value is None:
        raise missing(at + name, f"a string of 1 to {limit} characters")
    return value


def number(members: Mapping[str, object], name: str, maximum: float, at: str = "") -> float:
    """Read a number from 0 to `maximum`.

    Args:
        members: The decoded object, already inspected for numbers that aren't finite.
        name: The member's name.
        maximum: Largest number taken. Sums stay finite because of it.
        at: Prefix of the path that a refusal names.

    Returns:
        The number.

    Raises:
        RejectedError: `missing`, `wrong_type`, or `out_of_range`.
    """
    expected = f"a number from 0 to {maximum:g}"
    value = members.get(name)
    if value is None:
        raise missing(at + name, expected)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise reject(Reason.WRONG_TYPE, at + name, expected, value)
    if not 0 <= value <= maximum:
        raise reject(Reason.OUT_OF_RANGE, at + name, expected, value)
    return float(value)


def integer(members: Mapping[str, object], name: str, least: int, most: int, at: str = "") -> int:
    """Read a whole number.

    Args:
        members: The decoded object, already inspected for numbers that aren't finite.
        name: The member's name.
        least: Smallest number taken.
        most: Largest number taken.
        at: Prefix of the path that a refusal names.

    Returns:
        The number. `2.0` is one too, as JSON Schema has it: JSON knows one kind of number.

    Raises:
        RejectedError: `missing`, `wrong_type`, or `out_of_range`.
    """
    expected = f"a whole number from {least} to {most}"
    value = members.get(name)
    if value is None:
        raise missing(at + name, expected)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise reject(Reason.WRONG_TYPE, at + name, expected, value)
    if not least <= value <= most:
        raise reject(Reason.OUT_OF_RANGE, at + name, expected, value)
    return value


def choice(members: Mapping[str, object], name: str, choices: type[ChoiceT], at: str = "") -> ChoiceT:
    """Read one of a closed set of texts.

    Args:
        members: The decoded object.
        name: The member's name.
        choices: The set.
        at: Prefix of the path that a refusal names.

    Returns:
        The member of the enumeration.

    Raises:
        RejectedError: `missing`, `wrong_type`, or `invalid_value`.
    """
    expected = "one of " + ", ".join(choices)
    value = members.get(name)
    if value is None:
        raise missing(at + name, expected)
    if not isinstance(value, str):
        raise reject(Reason.WRONG_TYPE, at + name, expected, value)
    try:
        return choices(value)
    except ValueError as error:
        raise reject(Reason.INVALID_VALUE, at + name, expected, value) from error


def members_of(value: object, path: str) -> Mapping[str, object]:
    """Take a value as an object.

    Args:
        value: The decoded value.
        path: The path that a refusal names.

    Returns:
        Its members.

    Raises:
        RejectedError: `missing` where it is absent or `null`, `wrong_type` where it is no object.
    """
    if value is None:
        raise missing(path, "an object")
    if not isinstance(value, dict):
        raise reject(Reason.WRONG_TYPE, path, "an object", value)
    return value


def missing(path: str, expected: str) -> RejectedError:
    """Make the refusal of an absent member.

    Args:
        path: The path that is absent.
        expected: What should have been there.

    Returns:
        The error, to be raised by the caller.
    """
    # Without the quotes of a text: a member may well say "nothing".
    return RejectedError(Rejection(Reason.MISSING, bound(path), expected, "nothing"))
