"""JSON as RFC 8259 has it: Python's decoder also takes NaN, Infinity, repeated names and any depth."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ansflow_gateway.domain.rejection import Reason, explain, reject, render

MAX_DEPTH: Final = 16
"""Deepest nesting of objects and arrays that is taken in one event."""


@dataclass(frozen=True, slots=True)
class NonFinite:
    """Stands in a decoded tree for a number that isn't finite, until its path is known."""

    token: str

    def __str__(self) -> str:
        return self.token


class _RepeatedNameError(ValueError):
    """An object has two members of one name."""


def _finite(token: str) -> float | NonFinite:
    number = float(token)
    return number if math.isfinite(number) else NonFinite(token)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _RepeatedNameError(name)
            seen.add(name)
    return members


_DECODER: Final = json.JSONDecoder(parse_constant=NonFinite, parse_float=_finite, object_pairs_hook=_members)


def decode(body: bytes) -> object:
    """Decode a JSON document in UTF-8.

    Numbers that aren't finite become `NonFinite`, so that `inspect` can name their path.

    Args:
        body: The document; its size is bounded by the caller.

    Returns:
        Plain Python values.

    Raises:
        RejectedError: `not_json` where it isn't JSON or repeats a member's name, `too_deep` where its nesting
            exhausts the decoder.
    """
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise explain(
            Reason.NOT_JSON,
            "body",
            "a JSON document in UTF-8",
            f"a byte that isn't UTF-8 at offset {error.start}",
        ) from error
    except _RepeatedNameError as error:
        raise explain(
            Reason.NOT_JSON, "body", "an object's names to be unique", f"two of {render(str(error))}"
        ) from error
    except json.JSONDecodeError as error:
        raise explain(
            Reason.NOT_JSON,
            "body",
            "a JSON document",
            f"{error.msg} at line {error.lineno} column {error.colno}",
        ) from error
    except RecursionError as error:
        raise explain(
            Reason.TOO_DEEP, "body", f"at most {MAX_DEPTH} levels of nesting", "far more"
        ) from error
    except ValueError as error:
        # The interpreter refuses integers of thousands of digits.
        raise explain(Reason.NOT_JSON, "body", "numbers of a sane length", str(error)) from error


def inspect(event: object) -> None:
    """Refuse a decoded event that is too deep or holds a number that isn't finite.

    Args:
        event: One decoded event; the paths reported are relative to it.

    Raises:
        RejectedError: `too_deep` or `not_finite`, naming the path.
    """
    pending: list[tuple[object, _Place | None]] = [(event, None)]
    while pending:
        value, place = pending.pop()
        if isinstance(value, NonFinite):
            raise reject(Reason.NOT_FINITE, _path(place), "a finite number", value)
        if isinstance(value, dict):
            children: Iterable[tuple[str | int, object]] = value.items()
        elif isinstance(value, list):
            children = enumerate(value)
        else:
            continue
        depth = place.depth if place else 0
        if depth >= MAX_DEPTH:
            raise explain(
                Reason.TOO_DEEP, _path(place), f"at most {MAX_DEPTH} levels of nesting", "a deeper one"
            )
        pending.extend(
            (child, _Place(place, key, depth + 1))
            for key, child in children
            if isinstance(child, dict | list | NonFinite)
        )


class _Place(NamedTuple):
    """Where a value stands; its text is made only for a refusal.

    A text for each value would let a body of 1 MiB, many items below a long name, fill all memory.
    """

    container: "_Place | None"
    key: str | int
    depth: int


def _path(place: _Place | None) -> str:
    keys: list[str | int] = []
    while place:
        keys.append(place.key)
        place = place.container
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in reversed(keys))
    return path.removeprefix(".") or "body"
