"""What the store does in PostgreSQL, a transaction each: no tasks, no fold."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ansflow_gateway.domain.store import Entry, Verdict
from ansflow_gateway.storage.postgres_schema import APPEND_LOCK, LEAD_LOCK, Connection, connect
from ansflow_gateway.storage.records import Record, decode_event

CHANNEL: Final = "ansflow_journal"
"""Where the leader is told that there is something to fold."""

READ_ROWS: Final = 2_000
"""Entries read at a time."""

COMPACT_ROWS: Final = 2_000
"""Entries that one step of compaction deletes."""


class Progress(NamedTuple):
    """How far the folding has come.

    Args:
        epoch: Which leadership this is; each is greater than those before.
        state_position: The position that the saved state includes.
        compacted_position: The last position that has left the journal.
        last: The last position in the journal, or that has left it.
        entries: How many entries the journal has.
    """

    epoch: int
    state_position: int
    compacted_position: int
    last: int
    entries: int


async def append(
    connection: Connection, records: Sequence[Record], received_at: float, *, notify: bool
) -> list[Verdict]:
    """Commit those events that are new.

    Transactions that append take turns: the lock is taken before the first position is drawn, and PostgreSQL
    releases it after the commit is visible. So positions become visible in their order, and who has read up
    to one never has to look back; and two gateways that insert the same keys in different orders don't
    deadlock.

    Args:
        connection: To the database.
        records: Those of the events.
        received_at: When they were taken in.
        notify: Whether the leader, who is somebody else, is to be told.

    Returns:
        One verdict an event.
    """
    rows = [(keys[0], keys[1] if len(keys) > 1 else None, encoded) for _, keys, encoded in records]
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))", APPEND_LOCK)
        inserted = await connection.fetch(
            "INSERT INTO ansflow_journal (received_at, delivery, semantic, event)"
            " SELECT $1, delivery, semantic, event"
            " FROM unnest($2::bytea[], $3::bytea[], $4::bytea[]) WITH ORDINALITY"
            "   AS row (delivery, semantic, event, place)"
            " ORDER BY place ON CONFLICT DO NOTHING RETURNING delivery, semantic",
            received_at,
            *(list(column) for column in zip(*rows, strict=True)),
        )
        if notify and inserted:
            await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
    # Of rows with both keys equal, the first was inserted, if any was.
    new = {(row["delivery"], row["semantic"]) for row in inserted}
    verdicts = []
    for delivery, semantic, _ in rows:
        if (delivery, semantic) in new:
            new.remove((delivery, semantic))
            verdicts.append(Verdict.ACCEPTED)
        else:
            verdicts.append(Verdict.DUPLICATE)
    return verdicts


async def read(connection: Connection, after: int, limit: int = READ_ROWS) -> list[Entry]:
    """Read entries after a position, in order.

    Args:
        connection: To the database.
        after: The last position that is known already.
        limit: Most entries to be read.

    Returns:
        The entries; fewer than the limit where these are all.
    """
    rows = await connection.fetch(
        "SELECT seq, received_at, event FROM ansflow_journal WHERE seq > $1 ORDER BY seq LIMIT $2",
        after,
        limit,
    )
    return [Entry(row["seq"], row["received_at"], decode_event(row["event"])) for row in rows]


async def take_lead(connection: Connection) -> Progress | None:
    """Become the leader, if there is none.

    Args:
        connection: Holds the lead for as long as it lives.

    Returns:
        How far the folding has come; None where another gateway leads.
    """
    if not await connection.fetchval(
        "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))", LEAD_LOCK
    ):
        return None
    row = await connection.fetchrow(
        "UPDATE ansflow_progress SET epoch = epoch + 1 RETURNING epoch, state_position, compacted_position"
    )
    last, entries = await connection.fetchrow("SELECT MAX(seq), COUNT(*) FROM ansflow_journal")
    epoch, state_position, compacted = row
    return Progress(epoch, state_position, compacted, compacted if last is None else last, entries)


async def state(connection: Connection) -> list[tuple[str, bytes]]:
    """Read the saved state."""
    rows = await connection.fetch("SELECT key, value FROM ansflow_state")
    return [(row["key"].decode(), row["value"]) for row in rows]


async def save_state(
    connection: Connection, rows: Mapping[str, bytes | None], position: int, epoch: int
) -> bool:
    """Save what has changed of the state, together with the position that it includes.

    Args:
        connection: To the database.
        rows: Encoded values by key; None where the key is gone.
        position: The last position that was applied.
        epoch: That of the leader who saves.

    Returns:
        Whether it was saved; False where another gateway leads by now, or has saved more.
    """
    # As bytes: PostgreSQL's texts can't hold the NUL that separates the parts of a key.
    gone = [key.encode() for key, value in rows.items() if value is None]
    kept = {key.encode(): value for key, value in rows.items() if value is not None}
    async with connection.transaction():
        if not await connection.fetchval(
            "UPDATE ansflow_progress SET state_position = $1 WHERE epoch = $2 AND state_position <= $1"
            " RETURNING true",
            position,
            epoch,
        ):
            return False
        await connection.execute("DELETE FROM ansflow_state WHERE key = ANY($1::bytea[])", gone)
        await connection.execute(
            "INSERT INTO ansflow_state SELECT * FROM unnest($1::bytea[], $2::bytea[])"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            list(kept),
            list(kept.values()),
        )
    return True


async def compact(connection: Connection, received_before: float, excess: int, epoch: int) -> int:
    """Let some of the oldest entries go that are old, or too many, and that the saved state includes.

    Args:
        connection: To the database.
        received_before: Entries taken in before that are old, in seconds since the epoch.
        excess: How many entries are too many.
        epoch: That of the leader who compacts.

    Returns:
        How many went.
    """
    async with connection.transaction():
        saved = await connection.fetchval(
            "SELECT state_position FROM ansflow_progress WHERE epoch = $1 FOR UPDATE", epoch
        )
        gone = await connection.fetch(
            "WITH oldest AS ("
            "  SELECT seq, received_at, row_number() OVER (ORDER BY seq) AS place"
            "  FROM (SELECT seq, received_at FROM ansflow_journal WHERE seq <= $1"
            "        ORDER BY seq LIMIT $2) AS rows"
            ") DELETE FROM ansflow_journal AS journal USING oldest"
            " WHERE journal.seq = oldest.seq AND (oldest.received_at < $3 OR oldest.place <= $4)"
            " RETURNING journal.seq",
            saved,
            COMPACT_ROWS,
            received_before,
            excess,
        )
        if gone:
            await connection.execute(
                "UPDATE ansflow_progress SET compacted_position = GREATEST(compacted_position, $1)",
                max(row["seq"] for row in gone),
            )
    return len(gone)


async def fetch_entries(url: str, after: int, limit: int) -> list[Entry]:
    """Read entries after a position by a connection of one's own; see `read`."""
    connection = await connect(url)
    try:
        return await read(connection, after, limit)
    finally:
        await connection.close()
