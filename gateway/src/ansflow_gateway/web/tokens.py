"""Bearer tokens, one a producer, of which only hashes are kept.

The tokens file is TOML::

    [[tokens]]
    name = "shop-ci"
    sha256 = "9f86d081…"  # of the token, in hexadecimal
    scopes = ["events:write"]

A token is 256 random bits, so that a plain hash of it is as good as any: there is nothing to guess.
"""

import difflib
import hashlib
import hmac
import json
import re
import secrets
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ansflow_gateway.web.reloading import Reloaded

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_MEMBERS: Final = ("name", "sha256", "scopes")
_PREFIX: Final = "ansflow_"  # so that a token is known for one where it leaks


class Scope(StrEnum):
    """What a token is meant for."""

    EVENTS_WRITE = "events:write"
    METRICS_READ = "metrics:read"
    STATUS_READ = "status:read"


@dataclass(frozen=True, slots=True)
class ProducerToken:
    """A token that is valid.

    Args:
        name: Whose it is.
        digest: SHA-256 of the token.
        scopes: What it is meant for.
    """

    name: str
    digest: bytes
    scopes: frozenset[Scope]


def source(token: str | None, file: Path | None) -> Callable[[], Sequence[ProducerToken]] | None:
    """Make what gives the tokens that are valid now.

    Args:
        token: The single token, which may do everything; None where there is none.
        file: The tokens file, which is read again when it changes; None where there is none.

    Returns:
        A function without arguments; None where there are neither, and nobody is asked for a token.

    Raises:
        OSError: The file can't be read.
        ValueError: It isn't a tokens file.
    """
    single = () if token is None else (of_all_scopes(token),)
    if file is None:
        return (lambda: single) if single else None
    # Joined where the file is read, not where a request asks.
    return Reloaded([file], lambda content: (*single, *parse(content)))


def of_all_scopes(token: str) -> ProducerToken:
    """Take a single token, which may do everything.

    Args:
        token: The token itself.

    Returns:
        Its entry.
    """
    return ProducerToken("token", _digest(token.encode()), frozenset(Scope))


def find(given: str, tokens: Iterable[ProducerToken]) -> ProducerToken | None:
    """Find the entry of a token.

    Args:
        given: What a request shows.
        tokens: The entries that are valid.

    Returns:
        The entry; None where there is none. It takes the same time wherever it stands.
    """
    digest = _digest(given.encode("utf-8", "surrogateescape"))
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def parse(content: bytes) -> Sequence[ProducerToken]:
    """Read a tokens file.

    Args:
        content: TOML.

    Returns:
        The entries.

    Raises:
        ValueError: It isn't such a file; the text names the entry and what was expected.
    """
    document = tomllib.loads(content.decode())
    for key in document:
        if key != "tokens":
            raise ValueError(f"the key {key!r}; expected [[tokens]] alone")
    entries = document.get("tokens", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("tokens isn't an array of tables; expected [[tokens]]")
    tokens = [_entry(entry, f"tokens[{index}]") for index, entry in enumerate(entries)]
    for member in ("name", "digest"):
        if len({getattr(token, member) for token in tokens}) < len(tokens):
            raise ValueError(f"two tokens of one {'hash' if member == 'digest' else member}")
    return tuple(tokens)


def make(name: str, scopes: Iterable[str]) -> tuple[str, str]:
    """Make a new token.

    Args:
        name: Whose it is to be: letters, digits and ._-.
        scopes: What it is to be meant for; at least one.

    Returns:
        The token, which is shown once and kept nowhere, and the entry for the tokens file.

    Raises:
        ValueError: The name or a scope can't be used.
    """
    token = _PREFIX + secrets.token_urlsafe(32)
    members: dict[str, object] = {
        "name": name,
        "sha256": _digest(token.encode()).hex(),
        "scopes": sorted(set(scopes)),
    }
    _entry(members, "the token")
    # These texts are plain ASCII, for which JSON's form is TOML's as well.
    lines = [f"{key} = {json.dumps(value)}" for key, value in members.items()]
    return token, "\n".join(["[[tokens]]", *lines, ""])


def _entry(entry: dict[str, object], at: str) -> ProducerToken:
    for key in entry:
        if key not in _MEMBERS:
            raise ValueError(f"{at}.{key} isn't known; expected {', '.join(_MEMBERS)}")
    name, digest, scopes = (entry.get(member) for member in _MEMBERS)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{at}.name is {name!r}; expected 1 to 64 letters, digits and ._-")
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        # Not shown: somebody may have written the token itself.
        raise ValueError(f"{at}.sha256; expected the token's SHA-256 as 64 hexadecimal digits")
    if not isinstance(scopes, list) or not scopes:
        raise ValueError(f"{at}.scopes; expected an array of {', '.join(Scope)}")
    return ProducerToken(name, bytes.fromhex(digest), frozenset(_scope(scope, at) for scope in scopes))


def _scope(given: object, at: str) -> Scope:
    try:
        return Scope(str(given))
    except ValueError:
        near = difflib.get_close_matches(str(given), list(Scope), 1)
        hint = f"; is {near[0]} meant?" if near else ""
        raise ValueError(f"{at}.scopes has {given!r}; expected some of {', '.join(Scope)}{hint}") from None


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
