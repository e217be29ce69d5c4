"""The short name of an SQL statement: its verbs and tables, found by their places.

No parser: one pass over the tokens. What is not understood makes a poorer name, never an error.

Source:
    https://opentelemetry.io/docs/specs/semconv/database/database-spans/#generating-a-summary-of-the-query
"""

import re
from functools import lru_cache

__all__ = ["MAX_REMEMBERED", "OTHER", "summarise"]

MAX_REMEMBERED = 1000
"""Statements whose description is remembered, the latest used."""

MAX_SUMMARY = 255
"""Characters of a summary, as the semantic conventions advise."""

OTHER = "_OTHER"
"""The operation of a statement that begins with no known verb, so that operations are few."""

_DDL = frozenset({"ALTER", "COMMENT", "CREATE", "DROP", "LOCK", "REFRESH", "REINDEX", "TRUNCATE"})
_SUBSTATEMENTS = frozenset({"DELETE", "INSERT", "MERGE", "SELECT", "UPDATE"})
_VERBS = (
    _DDL
    | _SUBSTATEMENTS
    | {
        *(
            "ANALYZE",
            "ATTACH",
            "BEGIN",
            "CALL",
            "CHECKPOINT",
            "CLOSE",
            "CLUSTER",
            "COMMIT",
            "COPY",
            "DEALLOCATE",
        ),
        *(
            "DECLARE",
            "DESC",
            "DESCRIBE",
            "DETACH",
            "DISCARD",
            "DO",
            "END",
            "EXEC",
            "EXECUTE",
            "EXPLAIN",
            "FETCH",
        ),
        *("GRANT", "KILL", "LISTEN", "LOAD", "MOVE", "NOTIFY", "OPTIMIZE", "PRAGMA", "PREPARE", "REASSIGN"),
        *("RELEASE", "RENAME", "REPLACE", "RESET", "REVOKE", "ROLLBACK", "SAVEPOINT", "SET", "SHOW", "START"),
        *("TABLE", "UNLISTEN", "UNLOCK", "USE", "VACUUM", "VALUES"),
    }
)
_TARGET_AFTER = frozenset({"INTO", "JOIN"})
_TARGET_OF_VERB = frozenset({"CALL", "COPY", "EXEC", "MERGE", "REPLACE", "UPDATE"})
_READS_FROM = frozenset({"DELETE", "SELECT", "UPDATE"})
_OBJECTS = frozenset(
    {"DATABASE", "EXTENSION", "FUNCTION", "INDEX", "PROCEDURE", "ROLE", "SCHEMA", "SEQUENCE", "TABLE"}
    | {"TRIGGER", "TYPE", "USER", "VIEW"}
)
_BETWEEN_VERB_AND_NAME = frozenset(
    {"CONCURRENTLY", "EXISTS", "GLOBAL", "IF", "IGNORE", "LATERAL", "LOCAL", "MATERIALIZED", "NOT", "ONLY"}
    | {"OR", "TEMP", "TEMPORARY", "UNIQUE", "UNLOGGED", "VIRTUAL"}
)
_END_OF_TABLES = frozenset(
    {"EXCEPT", "FETCH", "FOR", "GROUP", "HAVING", "INTERSECT", "LIMIT", "OFFSET", "ORDER", "RETURNING"}
    | {"SET", "UNION", "VALUES", "WHERE", "WINDOW"}
)

_TOKEN = re.compile(
    r"""\s+ | (?P<placeholder>\$\d+|%\(\w+\)[a-z]|%[sbt](?!\w)|::|:\w+|\?|@\w+)
      | (?P<name>"(?:[^"]|"")*+(?:"|\Z)|`(?:[^`]|``)*+(?:`|\Z)|[^\W\d][\w$\#]*) | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=MAX_REMEMBERED)
def summarise(text: str) -> tuple[str, str]:
    """Summarise a statement, and remember the result: those that differed in literals only are one.

    Args:
        text: SQL without literals and comments.

    Returns:
        The operation (`SELECT`; `_OTHER` for what begins with no known verb), and operations and tables in
        their order (`SELECT things`).
    """
    reader = _Reader()
    for token in _TOKEN.finditer(text):
        if token.lastgroup is not None:
            reader.read(token.lastgroup, token.group())
    return reader.summary()


class _Reader:
    """Reads the tokens of a sanitised statement, and collects the words of its summary."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._operation = ""  # of the outermost level; the first of all stands in where there is none
        self._first_verb = ""
        self._previous = ";"  # the last name (in capitals) or mark
        self._at_start = True
        # The verb of each level of parentheses, and whether a comma there begins another table.
        self._verbs = [""]
        self._lists_tables = [False]
        self._expected = ""  # "", "table" or "object" (of DDL)
        self._qualifies = False  # whether the last name is a target, which a dot continues
        self._common_tables: set[str] = set()
        self._is_with = False

    def read(self, kind: str, token: str) -> None:
        if kind == "name":
            self._read_name(token)
        elif kind == "mark":
            self._read_mark(token)
        else:
            self._expected = ""
            self._previous = token

    def _read_name(self, token: str) -> None:
        if self._previous == ".":
            if self._qualifies:
                self._words[-1] += f".{_unquoted(token)}"
            self._previous = "a name"
            return
        self._qualifies = False
        word = "a name" if token[0] in '"`' else token.upper()
        if self._at_start:
            self._read_verb(word)
        elif self._is_with and len(self._verbs) == 1 and self._previous in ("WITH", ",", "RECURSIVE"):
            if word != "RECURSIVE":
                self._common_tables.add(_unquoted(token))
        elif self._expected:
            self._read_expected(token, word)
        elif word in _SUBSTATEMENTS and (
            word == "SELECT" or self._previous in ("(", ")", "AS", "EXPLAIN", "ANALYZE")
        ):
            self._begin(word)
        elif word == "FROM":
            reads = self._verbs[-1] in _READS_FROM and self._previous != "DISTINCT"
            self._expected = "table" if reads else ""
            self._lists_tables[-1] = reads
        elif word in _TARGET_AFTER:
            self._expected = "table"
        elif word in _END_OF_TABLES:
            self._lists_tables[-1] = False
        self._previous = word

    def _read_verb(self, word: str) -> None:
        self._at_start = False
        if word == "WITH":
            self._is_with = True
        else:
            self._begin(word if word in _VERBS else OTHER)

    def _begin(self, verb: str) -> None:
        self._verbs[-1] = verb
        self._lists_tables[-1] = False
        self._first_verb = self._first_verb or verb
        if len(self._verbs) == 1:
            self._is_with = False
            self._operation = self._operation or verb
        self._words.append(verb)
        self._expected = "object" if verb in _DDL else "table" if verb in _TARGET_OF_VERB else ""

    def _read_expected(self, token: str, word: str) -> None:
        if word in _BETWEEN_VERB_AND_NAME or word in ("INTO", "FROM"):
            return
        if self._expected == "object" and word in _OBJECTS:
            self._words.append(word)
            self._expected = "table"
        elif (
            self._expected == "object" and word not in ("a name", *_OBJECTS) and self._verbs[-1] != "TRUNCATE"
        ):
            self._expected = ""  # another kind of object
        elif word == "SELECT":
            self._begin(word)
        else:
            self._expected = ""
            name = _unquoted(token)
            if name not in self._common_tables:
                self._words.append(name)
                self._qualifies = True

    def _read_mark(self, mark: str) -> None:
        if mark == "(":
            self._verbs.append("")
            self._lists_tables.append(False)
            self._expected = ""
        elif mark == ")" and len(self._verbs) > 1:
            self._verbs.pop()
            self._lists_tables.pop()
            self._expected = ""
        elif mark == ";":
            self._verbs, self._lists_tables, self._at_start, self._expected = [""], [False], True, ""
        elif mark == ",":
            self._expected = "table" if self._lists_tables[-1] else ""
        elif mark != ".":
            self._expected = ""
        self._previous = mark

    def summary(self) -> tuple[str, str]:
        text = ""
        for word in self._words or [OTHER]:
            longer = f"{text} {word}" if text else word
            if len(longer) > MAX_SUMMARY:
                break
            text = longer
        return self._operation or self._first_verb or OTHER, text or OTHER


def _unquoted(name: str) -> str:
    return name.strip(name[0]) if name[0] in '"`' else name
