"""How a PostgreSQL database is named, and shown without its password."""

from typing import Final
from urllib.parse import urlsplit, urlunsplit

POSTGRES_SCHEMES: Final = ("postgresql://", "postgres://")
"""How a PostgreSQL URL begins; everything else is a path."""

_PORT: Final = 5432


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


def shared_name(url: str) -> str:
    """Give a database's host, port and name, by which those who share it know it.

    Args:
        url: The database.

    Returns:
        The same for all who name it alike, whatever user they are.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    # A port without a host (a socket's directory in the query, several hosts) is told as it is given.
    return (host if ":" in host else f"{host or 'localhost'}:{_PORT}") + (
        parts.path if len(parts.path) > 1 else ""
    )
