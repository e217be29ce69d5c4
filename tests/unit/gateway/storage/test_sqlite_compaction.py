"""What leaves a SQLite journal at once: many small blocks, always the oldest, and none that is needed."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from ansflow_gateway.storage.records import make_record
from ansflow_gateway.storage.sqlite_journal import SqliteJournal
from support.counting_fold import activity

T = 1_800_000_000.0
NEVER = -1
"""As `through`: no block is too many; as `received_before`: none is old."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """Give an open journal with nothing in it."""
    journal = SqliteJournal(tmp_path / "events.db")
    journal.open()
    yield journal
    journal.close()


def fill(journal: SqliteJournal, sizes: Sequence[int], received_at: float = T, *, saved: bool = True) -> None:
    """Append blocks of these sizes, and save a state that includes them."""
    for size in sizes:
        journal.append([make_record(activity()) for _ in range(size)], received_at)
    if saved:
        journal.save_state({}, journal.last)


def positions(path: Path) -> list[int]:
    """Read which positions blocks begin at, without the journal's code."""
    with closing(sqlite3.connect(path)) as file:
        return [position for (position,) in file.execute("SELECT position FROM journal ORDER BY position")]


def test_many_small_blocks_leave_in_one_transaction(journal: SqliteJournal) -> None:
    """As many as there may be at once, the oldest first, and what is forgotten are just their keys."""
    fill(journal, [1] * 100)
    keys = list(journal.keys())
    assert journal.compact(NEVER, 80, most=50) == keys[:50]
    assert positions(journal.path)[0] == 51
    assert journal.compact(NEVER, 80, most=50) == keys[50:80]
    assert journal.compact(NEVER, 80, most=50) is None
    assert list(journal.keys()) == keys[80:]
    assert (journal.compacted, journal.last) == (80, 100)


def test_blocks_leave_whole(journal: SqliteJournal) -> None:
    """One that would exceed the number waits for its turn, and goes by itself if it alone exceeds it."""
    fill(journal, [4, 4, 4, 30, 1, 1])
    forgotten = [journal.compact(NEVER, 44, most=10) for _ in range(5)]
    assert [keys and len(keys) for keys in forgotten] == [8, 4, 30, 2, None]
    assert positions(journal.path) == []
    fill(journal, [1])
    assert positions(journal.path) == [45]


def test_the_first_block_that_stays_keeps_all_after_it(journal: SqliteJournal) -> None:
    """A clock that went back makes no hole: blocks follow each other without a gap."""
    fill(journal, [2, 2], T - 60)
    fill(journal, [2], T + 60)
    fill(journal, [2], T - 60)
    assert len(journal.compact(T, NEVER) or ()) == 4
    assert journal.compact(T, NEVER) is None
    assert positions(journal.path) == [5, 7]
    assert len(journal.compact(T, 6) or ()) == 4, "one too many goes, and then the old one behind it"


def test_what_the_saved_state_does_not_include_stays(journal: SqliteJournal) -> None:
    """However old and however many: a restart has to apply it."""
    fill(journal, [1] * 10)
    fill(journal, [1] * 10, saved=False)
    assert len(journal.compact(T + 1, 20) or ()) == 10
    assert journal.compact(T + 1, 20) is None
    assert positions(journal.path) == [*range(11, 21)]


def test_a_crash_in_the_middle_leaves_a_sound_journal(journal: SqliteJournal, tmp_path: Path) -> None:
    """At whatever byte the log of a compaction was cut, the file opens: with those blocks, or without."""
    fill(journal, [1] * 40)
    wal = journal.path.with_name("events.db-wal")
    before = wal.stat().st_size
    journal.compact(NEVER, 30)
    after = wal.stat().st_size
    copied = tmp_path / "copy" / "events.db"
    found = set()
    for cut in (*range(before, after, 1024), after):
        copied.parent.mkdir(exist_ok=True)
        shutil.copy(journal.path, copied)
        copied.with_name("events.db-wal").write_bytes(wal.read_bytes()[:cut])
        again = SqliteJournal(copied)
        again.open()
        found.add((again.compacted, len(list(again.keys())), again.last))
        again.close()
        shutil.rmtree(copied.parent)
    assert found == {(0, 40, 40), (30, 10, 40)}


def test_a_transaction_that_fails_forgets_nothing(journal: SqliteJournal) -> None:
    """All blocks are there still, and go when it works again."""
    fill(journal, [1] * 10)
    with closing(sqlite3.connect(journal.path)) as file:
        file.execute(
            "CREATE TRIGGER refuse BEFORE DELETE ON journal WHEN old.position = 5"
            " BEGIN SELECT RAISE(ABORT, 'injected'); END"
        )
        with pytest.raises(sqlite3.IntegrityError, match="injected"):
            journal.compact(NEVER, 8)
        assert (len(positions(journal.path)), journal.compacted) == (10, 0)
        file.execute("DROP TRIGGER refuse")
    assert len(journal.compact(NEVER, 8) or ()) == 8
