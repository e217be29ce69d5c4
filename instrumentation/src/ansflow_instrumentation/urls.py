"""What may be seen of a URL's query, whoever was called by it: this service, or another one.

Source:
    https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/
"""

import re
from functools import lru_cache
from urllib.parse import unquote_plus

__all__ = ["REDACTED", "redacted_query"]

REDACTED = "REDACTED"
"""Stands for what is left out."""

MAX_NAMES = 1000
"""Names of parameters that are remembered. Values never are: they are secrets."""

MAX_NAME = 64
"""Characters of a name that is remembered, so that a client cannot fill the memory with them."""

_PARAMETER = re.compile(
    # Some servers end a value at a semicolon, others do not: it does where a name and an equals sign follow.
    r"([^=&;]++)=([^&;]*+(?:;[^&;=]*+(?![^&;]))*+)"
)
_SECRET_PART = re.compile(
    "token|secret|passw|passphrase|apikey|accesskey|accountkey|sharedkey|privatekey|signature|credential|session"
)
_SECRET_NAMES = frozenset(("assertion", "auth", "authorization", "code", "key", "pass", "sid"))
_SECRET_WORDS = frozenset(("jwt", "otp", "pin", "pwd", "sig", "totp"))
_NAME = re.compile(r"[^\W_][\w-]*")
_WORD = re.compile(r"[^\W_]+")
_USERINFO = re.compile(
    r"(:|%3A)(//|%2F%2F)(?:(?!%2F|%3F|%23|%26)[^/?#&])*(@|%40)",
    re.IGNORECASE,
)


def redacted_query(query: str) -> str:
    """Leave secrets out of a query: values of parameters that are named like one, and a URL's credentials.

    Args:
        query: As it is sent, without its question mark.

    Returns:
        As it may be seen: `REDACTED` in the place of secrets, everything else as it was.
    """
    if "=" in query:
        query = _PARAMETER.sub(_shown, query)
    if "@" in query or "%40" in query:
        query = _USERINFO.sub(rf"\1\2{REDACTED}:{REDACTED}\3", query)
    return query


def _shown(parameter: re.Match[str]) -> str:
    name = parameter[1]
    hidden = _is_secret(name) if len(name) <= MAX_NAME else _names_secret(name)
    return f"{name}={REDACTED}" if hidden else parameter[0]


def _names_secret(name: str) -> bool:
    """Tell whether a name says what it holds: alone (`key`, `user[key]`), or in a part of it (`user_pin`)."""
    plain = unquote_plus(name).lower()
    words = _WORD.findall(plain)
    return (
        _SECRET_PART.search("".join(words)) is not None
        or not _SECRET_WORDS.isdisjoint(words)
        or not _SECRET_NAMES.isdisjoint(_NAME.findall(plain))
    )


_is_secret = lru_cache(maxsize=MAX_NAMES)(_names_secret)
