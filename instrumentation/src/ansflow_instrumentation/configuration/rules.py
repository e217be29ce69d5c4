"""Settings by instrument: `http.server.request.duration=0.1,1,10; db.*=0.01,0.1,1`.

Entries are separated by semicolons; each is the name of an instrument, in which `*` stands for anything, an
equals sign, and values separated by commas. Of several entries that name an instrument, the most exact one
counts: a name before a pattern, a longer pattern before a shorter one. A bad entry is a problem of its own
and leaves the others as they are.
"""

import fnmatch
import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = [
    "EXPONENTIAL",
    "Rules",
    "parse_buckets",
    "parse_limit",
    "parse_names",
    "read_list",
    "read_rules",
]

T = TypeVar("T")

EXPONENTIAL = "exponential"
"""In place of bucket boundaries: the base-2 exponential histogram, which needs none."""

_PATTERN = re.compile(r"[A-Za-z*?][A-Za-z0-9_.*?/-]{0,254}")
"""https://opentelemetry.io/docs/specs/otel/metrics/api/#instrument-name-syntax, and two wildcards."""


@dataclass(frozen=True)
class Rules(Generic[T]):
    """Values by instrument.

    Attributes:
        values: By the instrument's name or a pattern of it, in lower case, as the SDK keeps names.
    """

    values: Mapping[str, T]

    def of(self, instrument: str) -> T | None:
        """Give the value of the most exact entry.

        Args:
            instrument: Its name, in lower case.

        Returns:
            The value; None where no entry names the instrument.
        """
        matching = [pattern for pattern in self.values if fnmatch.fnmatchcase(instrument, pattern)]
        if not matching:
            return None
        return self.values[max(matching, key=lambda pattern: (pattern == instrument, len(pattern)))]

    def all_of(self, instrument: str) -> list[T]:
        """Give the values of all entries that name an instrument.

        Args:
            instrument: Its name, in lower case.

        Returns:
            The values, in the order of the entries.
        """
        return [value for pattern, value in self.values.items() if fnmatch.fnmatchcase(instrument, pattern)]


def read_rules(
    env: Mapping[str, str],
    variable: str,
    parse: Callable[[str], T],
    *,
    bare: bool = False,
    names: re.Pattern[str] = _PATTERN,
) -> tuple[Rules[T], list[str]]:
    """Read a variable that has an entry for each instrument, or for whatever else has names.

    Args:
        env: The process's environment.
        variable: Its name.
        parse: Makes the value of an entry, or raises ValueError with what was expected.
        bare: Whether a value without a name is for all instruments.
        names: What a name or a pattern of names may be. Names of instruments are read in lower case.

    Returns:
        The rules, and a sentence for each bad entry that names the variable, the entry and what was expected.
    """
    values: dict[str, T] = {}
    problems: list[str] = []
    for entry in filter(None, map(str.strip, env.get(variable, "").split(";"))):
        pattern, equals, value = (part.strip() for part in entry.partition("="))
        if bare and not equals:
            pattern, value = "*", pattern
        try:
            if not names.fullmatch(pattern) or not value:
                what = "instrument" if names is _PATTERN else "name"
                raise ValueError(f"<{what}>=<value>, entries separated by semicolons")
            values[pattern.lower() if names is _PATTERN else pattern] = parse(value)
        except ValueError as expected:
            problems.append(f"{variable}: {entry!r} is ignored; expected {expected}")
    return Rules(values), problems


def read_list(env: Mapping[str, str], variable: str) -> list[str]:
    """Read a comma-separated list.

    Args:
        env: The process's environment.
        variable: Its name.

    Returns:
        The items, without the white space around them.
    """
    return [item for item in map(str.strip, env.get(variable, "").split(",")) if item]


def parse_buckets(text: str) -> tuple[float, ...] | None:
    """Read bucket boundaries.

    Args:
        text: Increasing numbers in the instrument's unit, or `exponential`.

    Returns:
        The boundaries; None for exponential buckets.

    Raises:
        ValueError: If it is neither; it says what was expected.
    """
    if text.lower() == EXPONENTIAL:
        return None
    expected = f"increasing numbers separated by commas, in the instrument's unit, or {EXPONENTIAL!r}"
    try:
        boundaries = tuple(float(item) for item in text.split(","))
    except ValueError as error:
        raise ValueError(expected) from error
    rising = all(low < high for low, high in itertools.pairwise(boundaries))
    if not rising or not all(map(math.isfinite, boundaries)):
        raise ValueError(expected)
    return boundaries


def parse_names(text: str) -> frozenset[str]:
    """Read attribute names.

    Args:
        text: Names or patterns of names, separated by commas.

    Returns:
        The names and patterns.

    Raises:
        ValueError: If one is empty or has white space in it; it says what was expected.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names) or any(re.search(r"\s", name) for name in names):
        raise ValueError("attribute names separated by commas, as in http.route,server.*")
    return frozenset(names)


def parse_limit(text: str) -> int:
    """Read a cardinality limit.

    Args:
        text: A whole number.

    Returns:
        How many series an instrument may have.

    Raises:
        ValueError: If it is not a whole number >= 1; it says what was expected.
    """
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("a whole number of series, 1 or more")
    return int(text)
