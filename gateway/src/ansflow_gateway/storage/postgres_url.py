"""How a PostgreSQL database is named, and shown without its password."""

from typing import Final
from urllib.parse import urlsplit, urlunsplit

POSTGRES_SCHEMES: Final = ("postgresql://", "postgres://")
"""How a PostgreSQL URL begins; everything else is a path."""


def is_postgres(path_or_url: str) -> bool:
    """Tell whether a setting names a PostgreSQL database."""
    return path_or_url.startswith(POSTGRES_SCHEMES)


def masked(path_or_url: str) -> str:
    """Give a setting as it may be printed: without a password."""
    if not is_postgres(path_or_url):
        return path_or_url
    parts = urlsplit(path_or_url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    # The query may name a password too; nothing in it is needed to recognise the database.
    return urlunsplit((parts.scheme, f"{name}{colon and ':***'}{at}{host}", parts.path, "", ""))
