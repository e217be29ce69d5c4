"""The rows of the saved state: which they are, and the digest by which they are known to be of one moment."""

import sqlite3
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

DIGEST_BYTES: Final = 8
"""Length of a state row's digest, and of their sum."""

CHANGES_VERSION: Final = 2
"""The schema version from which on there are `state_changes`."""


def state_digest(key: str, value: bytes) -> int:
    """Compute the digest of a state row, to be summed up."""
    return int.from_bytes(
        blake2b(b"%b\0%b" % (key.encode(), value), digest_size=DIGEST_BYTES).digest(), "big"
    )


def add_digests(total: int, *digests: int) -> int:
    """Sum digests up; a negative one is taken away."""
    return (total + sum(digests)) % (1 << 8 * DIGEST_BYTES)


def state_rows(connection: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    """Give the saved state, in any order: `state`, and what `state_changes` has in place of it.

    Args:
        connection: To the file.

    Returns:
        Encoded values with their keys.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < CHANGES_VERSION:  # it is only read, and so not migrated
        return iter(connection.execute("SELECT key, value FROM state"))
    return iter(
        connection.execute(
            "WITH valid AS ("
            "SELECT key, value FROM state_changes WHERE number <= (SELECT changes_through FROM progress))"
            " SELECT key, value FROM state WHERE key NOT IN (SELECT key FROM valid)"
            " UNION ALL SELECT key, value FROM valid WHERE value IS NOT NULL"
        )
    )
