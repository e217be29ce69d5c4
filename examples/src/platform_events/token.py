"""The bearer token that an event sink asks for (RFC 6750, section 2.1)."""

import re
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "EVENT_SINK_TOKEN"
"""Holds the token."""

FILE_VARIABLE = "EVENT_SINK_TOKEN_FILE"
"""Holds the path of a file that holds the token."""

_TOKEN = re.compile(r"[\x21-\x7e]{1,512}", re.ASCII)


def token_from(environment: Mapping[str, str]) -> str | None:
    """Read the token from its variable, or from the file that the other variable names.

    Args:
        environment: Variables by name; empty values count as absent.

    Returns:
        The token; `None` where none is given.

    Raises:
        ValueError: Both variables are set, the file can't be read or is empty, or its text is no token. The
            message begins with the variable's name and never repeats the token.
    """
    direct = environment.get(VARIABLE, "").strip()
    file = environment.get(FILE_VARIABLE, "").strip()
    if not file:
        return checked(direct, VARIABLE) if direct else None
    if direct:
        raise ValueError(f"{FILE_VARIABLE}: expected nothing where {VARIABLE} is set too, got {file!r}")
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{FILE_VARIABLE}: expected a readable file, got {file!r} ({error})") from error
    except UnicodeDecodeError:
        # Neither as its cause: the error holds the file's bytes.
        raise ValueError(f"{FILE_VARIABLE}: expected a text file, got {file!r}, not UTF-8") from None
    return checked(text, FILE_VARIABLE)


def checked(token: str, name: str) -> str:
    """Return a token that can stand in a header.

    Args:
        token: What is to be one.
        name: What the error names it.

    Returns:
        The token, as it is.

    Raises:
        ValueError: It is empty, too long, or holds spaces, controls or anything beyond ASCII.
    """
    if not _TOKEN.fullmatch(token):
        expected = "1 to 512 printable ASCII characters without spaces"
        raise ValueError(f"{name}: expected {expected}, got {len(token)} characters")
    return token
