"""Reading members as a description says, refusing by name.

msgspec's own decoder stops at the first fault with a sentence; a refusal needs the reason, the field, what
was expected and what came. So this walks the same description, member by member. Unknown members are let be.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from ansflow_gateway.domain import fields, rfc3339
from ansflow_gateway.domain.data_types import is_http
from ansflow_gateway.domain.rejection import Reason, reject

DescribedT = TypeVar("DescribedT", bound=msgspec.Struct)

Read = Callable[[Mapping[str, object], str, str], object]
"""Reads a member that isn't null: the members, its name, and the prefix of the path that a refusal names."""


def read(description: type[DescribedT], members: Mapping[str, object], at: str) -> DescribedT:
    """Read an object.

    Args:
        description: A Struct whose members are texts, numbers, enumerations, or objects of numbers, with
            msgspec's own constraints; a text's `format` of `date-time` or `uri` is heeded.
        members: The decoded object, already inspected for depth and for numbers that aren't finite.
        at: Prefix of the path that a refusal names, such as `data.`.

    Returns:
        The Struct, equal to what msgspec's decoder makes of the same object.

    Raises:
        RejectedError: Naming the first member at fault.
    """
    return description(
        **{
            name: reader(members, name, at)
            for name, required, reader in _readers(description)
            if required or members.get(name) is not None
        }
    )


@cache
def _readers(description: type[msgspec.Struct]) -> tuple[tuple[str, bool, Read], ...]:
    described = inspect.type_info(description)
    assert isinstance(described, inspect.StructType)  # noqa: S101 - the argument's type says so
    return tuple((field.name, field.required, _reader(field.type)) for field in described.fields)


def _reader(described: inspect.Type) -> Read:
    extra: Mapping[str, Any] = {}
    if isinstance(described, inspect.UnionType):
        # Optional members are `T | UnsetType | None`; inspection leaves UNSET out.
        (described,) = (option for option in described.types if not isinstance(option, inspect.NoneType))
    if isinstance(described, inspect.Metadata):
        extra, described = described.extra_json_schema or {}, described.type
    match described:
        case inspect.StrType(max_length=int(limit)):
            return _text_reader(limit, extra.get("format"))
        case inspect.FloatType(le=float(maximum)):
            return lambda members, name, at: fields.number(members, name, maximum, at)
        case inspect.IntType(ge=int(least), le=int(most)):
            return lambda members, name, at: fields.integer(members, name, least, most, at)
        case inspect.EnumType(cls=choices) if issubclass(choices, StrEnum):
            return lambda members, name, at: fields.choice(members, name, choices, at)
        case inspect.DictType():
            return _counts_reader(described)
    raise TypeError(f"no reader for {described}")


def _text_reader(limit: int, form: str | None) -> Read:
    expected, valid = _FORMS.get(form, ("", None))

    def read_text(members: Mapping[str, object], name: str, at: str) -> str:
        text = fields.text(members, name, limit, at)
        if valid is not None and not valid(text):
            raise reject(Reason.INVALID_VALUE, at + name, expected, text)
        return text

    return read_text


def _counts_reader(described: inspect.DictType) -> Read:
    match described:
        case inspect.DictType(
            max_length=int(limit),
            key_type=inspect.StrType(pattern=str(pattern)),
            value_type=inspect.IntType(ge=int(least), le=int(most)),
        ):
            pass
        case _:
            raise TypeError(f"no reader for {described}")

    def read_counts(members: Mapping[str, object], name: str, at: str) -> dict[str, int]:
        counts = fields.members_of(members.get(name), at + name)
        if len(counts) > limit:
            raise reject(Reason.TOO_LONG, at + name, f"at most {limit} members", counts)
        for key in counts:
            if not re.fullmatch(pattern, key):
                raise reject(Reason.INVALID_VALUE, f"{at}{name}", f"names like {pattern}", key)
        return {key: fields.integer(counts, key, least, most, f"{at}{name}.") for key in counts}

    return read_counts


def _is_time(text: str) -> bool:
    try:
        rfc3339.seconds(text)
    except ValueError:
        return False
    return True


_FORMS: Final[Mapping[str | None, tuple[str, Callable[[str], bool]]]] = {
    "date-time": (rfc3339.EXPECTED, _is_time),
    "uri": ("a URL of http or https", is_http),
}
