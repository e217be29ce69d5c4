"""Variables in a compose file's text, as the compose specification's interpolation defines them.

Source: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")


class InterpolationError(ValueError):
    """A `$` begins nothing that the specification knows."""


@dataclass(frozen=True)
class Reference:
    """One variable in a text.

    Attributes:
        name: The variable.
        operator: `-` or `:-` (default), `?` or `:?` (required), `+` or `:+` (replacement), empty for none.
        operand: What follows the operator; may hold references of its own.
    """

    name: str
    operator: str = ""
    operand: str = ""

    @property
    def has_default(self) -> bool:
        """Whether the text can be resolved without the variable."""
        return self.operator.removeprefix(":") in {"-", "+"}

    @property
    def is_required(self) -> bool:
        """Whether compose refuses to start without the variable."""
        return self.operator.removeprefix(":") == "?"


def parse(text: str) -> list[str | Reference]:
    """Split a text into literal parts and references; `$$` is a literal `$`.

    Raises:
        InterpolationError: A `$` stands alone, or a brace is not closed.
    """
    parts: list[str | Reference] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        parts.append(text[position:dollar])
        if text.startswith("$$", dollar):
            parts.append("$")
            position = dollar + 2
        elif text.startswith("${", dollar):
            end = _closing(text, dollar)
            parts.append(_braced(text[dollar + 2 : end]))
            position = end + 1
        elif name := _NAME.match(text, dollar + 1):
            parts.append(Reference(name[0]))
            position = name.end()
        else:
            raise InterpolationError(f"a lone $ in {text!r} (write $$ for a literal one)")
    parts.append(text[position:])
    return [part for part in parts if part]


def references(text: str) -> Iterator[Reference]:
    """Yield every reference of a text, those inside operands too.

    Raises:
        InterpolationError: As of `parse`.
    """
    for part in parse(text):
        if isinstance(part, Reference):
            yield part
            if not part.is_required:
                yield from references(part.operand)


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with its references replaced; one without a value or default becomes empty.

    Raises:
        InterpolationError: As of `parse`.
    """
    return "".join(part if isinstance(part, str) else _value(part, variables) for part in parse(text))


def _value(reference: Reference, variables: Mapping[str, str]) -> str:
    value = variables.get(reference.name)
    # With a colon, empty counts as unset.
    is_set = bool(value) if reference.operator.startswith(":") else value is not None
    match reference.operator.removeprefix(":"):
        case "-" if not is_set:
            return interpolate(reference.operand, variables)
        case "+":
            return interpolate(reference.operand, variables) if is_set else ""
    return value or ""


def _closing(text: str, dollar: int) -> int:
    depth = 0
    for position in range(dollar + 1, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    raise InterpolationError(f"a brace that is not closed in {text!r}")


def _braced(inside: str) -> Reference:
    name = _NAME.match(inside)
    if name is None:
        raise InterpolationError(f"no variable's name in ${{{inside}}}")
    rest = inside[name.end() :]
    if not rest:
        return Reference(name[0])
    operator = _OPERATOR.match(rest)
    if operator is None:
        raise InterpolationError(f"no operator after {name[0]} in ${{{inside}}}")
    return Reference(name[0], operator[0], rest[operator.end() :])
