"""Documents that are nearly right: decoded JSON with some of its members changed."""

import copy
from random import Random
from typing import Any

TEXTS = [
    *("", " ", "x" * 200, "x" * 201, "x" * 513, "x" * 3000, "é", "😀" * 100, "\x00", "\n", "\x7f", "\x85"),
    *(
        "\ud800",
        "\udfff",
        "\ufdd0",
        "<script>",
        "a/b",
        "..",
        "%00",
        "success",
        "failure",
        "other",
        "null",
        "1",
    ),
    *(
        "http://",
        "https://x",
        "http://[::1",
        "https://[::1]:8/a",
        "https://x:99999/",
        "https://x:/a",
        "//x/y",
    ),
    *(
        "javascript:x",
        "HTTPS://EXAMPLE.TEST:443/%2e%2e/",
        "https://u:p@x/",
        "https://x\u2100.y/",
        "https:///",
    ),
    *("2026-01-31T12:00:00Z", "2026-01-31 12:00:00 UTC", "2026-01-31 12:00:00 +0200", "2026-02-30T12:00:00Z"),
    *(
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2026-01-31T24:00:00Z",
        "1969-12-31T23:59:59Z",
    ),
    *(
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00+99:99",
        "2026-01-31T12:00:00",
        "\uff12\uff10\uff12\uff16-01-31T12:00:00Z",
    ),
    *("2026-01-31T12:00:00." + "9" * 60 + "Z", "+002026-01-31T12:00:00Z"),
]
NUMBERS = [
    0,
    -0.0,
    -1,
    1,
    1.0,
    1.5,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    10**30,
    10**400,
    1e18,
    1e308,
    -1e308,
]
OTHERS: list[object] = [None, True, False, [], {}, [[]], {"": ""}, [None] * 40, {"a": {"b": {"c": []}}}]
TOKENS = [
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"[" * 30,
    b'"\\ud800"',
    b"\xff",
    b"\xef\xbb\xbf",
    b"\x00",
    b'{"a":1,"a":2}',
]


def changed(document: object, chance: Random) -> Any:
    """Give a copy of a document with one to three of its members changed, taken away, added or moved."""
    made: Any = [copy.deepcopy(document)]
    for _ in range(chance.choice((1, 1, 2, 3))):
        container, key = chance.choice(_places(made))
        match chance.randrange(8):
            case 0 | 1 | 2:
                container[key] = chance.choice(TEXTS)
            case 3:
                container[key] = chance.choice(NUMBERS)
            case 4:
                container[key] = copy.deepcopy(chance.choice(OTHERS))
            case 5 if container is not made:
                del container[key]
            case 6:
                container[key] = _deep(container[key], chance.randrange(1, 20))
            case _:
                other, there = chance.choice(_places(made))
                container[key] = copy.deepcopy(other[there])
    return made[0]


def _places(made: Any) -> list[tuple[Any, Any]]:
    """List each place of a document: its container, and its key or index there."""
    found, pending = [], [made]
    while pending:
        container = pending.pop()
        for key in list(container) if isinstance(container, dict) else range(len(container)):
            found.append((container, key))
            if isinstance(container[key], dict | list):
                pending.append(container[key])
    return found


def _deep(value: object, levels: int) -> object:
    for level in range(levels):
        value = [value] if level % 2 else {"deep": value}
    return value
