"""What telemetry says of an SQL statement: its operation, a short name, and its text without literals.

It is remembered by the statement, so a query that is run again costs a look-up. What is not understood makes
a poorer name, never an error, and lets no literal through.

Source:
    https://opentelemetry.io/docs/specs/semconv/database/database-spans/#sanitization-of-dbquerytext
    https://opentelemetry.io/docs/specs/semconv/database/database-spans/#generating-a-summary-of-the-query
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from ansflow_instrumentation.database.summary import MAX_REMEMBERED, summarise

__all__ = ["MAX_TEXT", "Statement", "Summary", "describe"]

MAX_TEXT = 4096
"""Characters of a statement that are looked at; the rest of a longer one is cut off."""

_ANY_DIALECT = r"""
    /\*.*?(?:\*/|\Z)
  | --[^\n]*
  | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
  | `(?:[^`]|``)*+(?:`|\Z)
  | (?<![\w$@:.])(?:\d[\w.]*(?:(?<=[eE])[+-]\d+)?|\.\d\w*)
"""
# What is not closed is a literal to the end.
_STANDARD_LITERAL = re.compile(
    # Only an E'…' string knows backslashes.
    r"""(?<!\w)[nN]?[qQ]'(?:  # Oracle's, which ends as it begins
          \[.*?(?:\]'|\Z) | \{.*?(?:\}'|\Z) | \(.*?(?:\)'|\Z) | <.*?(?:>'|\Z)
        | (?P<mark>[^\s\[{(<]).*?(?:(?P=mark)'|\Z))
      | (?<!\w)[eE]'(?:[^'\\]|\\.?|'')*+(?:'|\Z) | (?:(?<!\w)(?:[bBnNxX]|[uU]&))?'(?:[^']|'')*+(?:'|\Z)
      | "(?:[^"]|"")*+(?:"|\Z) |"""
    + _ANY_DIALECT,
    re.VERBOSE | re.DOTALL,
)
_MYSQL_LITERAL = re.compile(
    r"""(?:(?<!\w)[bBnNxX])?'(?:[^'\\]|\\.?|'')*+(?:'|\Z) | "(?:[^"\\]|\\.?|"")*+(?:"|\Z)
      | \#[^\n]* |"""
    + _ANY_DIALECT,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = "-/#"
_TOKEN = re.compile(r'"(?:[^"]|"")*+(?:"|\Z)(?P<qualifies>\s*\.)? | [(),] | \w+ | [^\s\w(),"]+', re.VERBOSE)
_OPERATOR = re.compile(r"[^.,:?]*[=<>|+\-*/%~&]|LIKE|GLOB|MATCH|REGEXP|BETWEEN|IS|NOT|ESCAPE", re.IGNORECASE)
_LISTS = frozenset(("IN", "VALUES"))
_PLACEHOLDER = r"(?:\?|\$\d+|%s|%\(\w+\)s|:\w+)(?:::\w+)?"
_LONG_IN = re.compile(rf"\b(IN) ?\( ?{_PLACEHOLDER}(?: ?, ?{_PLACEHOLDER})+ ?\)", re.IGNORECASE)
_MANY_ROWS = re.compile(r"\b(VALUES ?\([^()]*+\))(?: ?, ?\([^()]*+\))+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Summary:
    """A statement in short.

    Attributes:
        operation: `SELECT`; `BATCH INSERT` for several parameter sets; `_OTHER` for what is not known.
        text: Operations and tables in their order: `SELECT things`.
    """

    operation: str
    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """An SQL statement, as telemetry describes it.

    Attributes:
        single: Its summary when it is run once.
        batch: Its summary when it is run with several parameter sets at once.
        text: It without literals and comments, at most `MAX_TEXT` characters; empty if nothing is left.
    """

    single: Summary
    batch: Summary
    text: str


def describe(text: str, *, mysql: bool = False) -> Statement:
    """Describe a statement.

    Args:
        text: SQL, with literals or placeholders of any style.
        mysql: Whether strings may stand in double quotes and know backslashes.

    Returns:
        The description, remembered for the next time.
    """
    return _describe(text if len(text) <= MAX_TEXT else text[:MAX_TEXT], mysql, len(text) > MAX_TEXT)


@lru_cache(maxsize=MAX_REMEMBERED)
def _describe(text: str, mysql: bool, is_cut: bool) -> Statement:
    sanitised = _sanitised(text, mysql)
    operation, summary = summarise(sanitised)
    return Statement(
        Summary(operation, summary),
        Summary(f"BATCH {operation}", f"BATCH {summary}"),
        _shortened(sanitised) + ("…" if is_cut else ""),
    )


def _shortened(text: str) -> str:
    """Make statements alike that differ in how many values they compare with, or rows they insert."""
    return _MANY_ROWS.sub(r"\1, …", _LONG_IN.sub(r"\1 (?)", text))


def _sanitised(text: str, mysql: bool) -> str:
    def replaced(found: re.Match[str]) -> str:
        first = found.group()[0]
        if first in _COMMENT:
            return " "
        return found.group() if first == "`" or (first == '"' and not mysql) else "?"

    sanitised = (_MYSQL_LITERAL if mysql else _STANDARD_LITERAL).sub(replaced, text)
    if '"' in sanitised and not mysql:
        sanitised = _without_quoted_values(sanitised)
    return " ".join(sanitised.split()).strip("; ")


def _without_quoted_values(text: str) -> str:
    """Leave out what is in double quotes where values stand: SQLite takes it for a string if no name is such.

    That is after an operator, and in lists of values; a name with a dot before or after it is one.
    """
    parts: list[str] = []
    lists: list[bool] = []  # of each open parenthesis, whether values are in it
    written, previous, closed_list = 0, "", False
    for found in _TOKEN.finditer(text):
        part = found[0]
        is_value = _OPERATOR.fullmatch(previous) is not None
        if part == "(":
            lists.append(
                is_value
                or previous.upper() in _LISTS
                or (previous == "," and closed_list)
                or bool(lists and lists[-1])
            )
        elif part == ")":
            closed_list = bool(lists and lists.pop())
        elif part.upper() == "SELECT" and lists:
            lists[-1] = False
        elif (
            part[0] == '"'
            and not found["qualifies"]
            and (is_value or (lists and lists[-1] and previous in ("(", ",")))
        ):
            parts += (text[written : found.start()], "?")
            written = found.end()
        previous = part
    return "".join((*parts, text[written:]))
