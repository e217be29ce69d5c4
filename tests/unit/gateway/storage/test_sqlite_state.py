"""Saving the state some rows at a time: commits go on, and whenever it ends, the state is of one moment."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ansflow_gateway.errors import StoreRefusedError
from ansflow_gateway.storage import maintenance, sqlite_file, sqlite_state
from ansflow_gateway.storage.records import make_record
from ansflow_gateway.storage.sqlite_journal import SqliteJournal
from ansflow_gateway.storage.sqlite_rows import DIGEST_BYTES, state_digest
from support.counting_fold import CountingFold, activity
from support.stores import Place

T = 1_800_000_000.0
ROWS = 1000

State = dict[str, bytes]


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_state, "SAVED_ROWS", 300)
    monkeypatch.setattr(sqlite_state, "MERGED_ROWS", 150)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """Give an open journal with an event in it."""
    journal = SqliteJournal(tmp_path / "events.db")
    journal.open()
    append(journal)
    yield journal
    journal.close()


def append(journal: SqliteJournal) -> None:
    """Commit an event."""
    journal.append([make_record(activity())], T)


def numbered(value: str, numbers: range = range(ROWS)) -> State:
    """Make rows with keys of their own."""
    return {f"row\0{number}": f"{value} {number}".encode() for number in numbers}


def after_a_crash(journal: SqliteJournal, folder: Path) -> tuple[State, int, int]:
    """Give the state, its position, and the journal's end, as they are if the process ends now."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{journal.path}{suffix}", folder / f"events.db{suffix}")
    again = SqliteJournal(folder / "events.db")
    again.open()
    found = dict(again.state()), again.saved, again.last
    again.close()
    shutil.rmtree(folder)
    return found


def test_a_crash_at_any_step_leaves_the_old_state_or_the_new(journal: SqliteJournal, tmp_path: Path) -> None:
    """Never some rows of each; and what is committed between two steps is there, and not in the state."""
    before = numbered("old")
    journal.save_state(before, 1)
    rows: dict[str, bytes | None] = {**numbered("new", range(200, 1200)), "row\0" + "5": None, "no": None}
    after = {key: value for key, value in {**before, **rows}.items() if value is not None}
    append(journal)
    position = journal.last
    journal.begin_save(rows, position)
    seen = []
    done = False
    while not done or journal.merging:
        if done:
            journal.merge_some()
        else:
            done = journal.save_some()
        append(journal)
        state, saved, last = after_a_crash(journal, tmp_path / "copy")
        assert (state, saved) == ((after, position) if done else (before, 1))
        assert last == journal.last
        assert dict(journal.state()) == state
        seen.append(done)
    assert seen.count(False) == 3, "steps of 300 rows, of which the fourth is the last"
    assert seen.count(True) > 6
    with closing(sqlite3.connect(journal.path)) as file:
        assert file.execute("SELECT COUNT(*) FROM state_changes").fetchone() == (0,)
        assert dict(file.execute("SELECT key, value FROM state")) == after


def test_a_save_that_failed_half_way_counts_for_nothing(journal: SqliteJournal) -> None:
    """Neither its rows nor its position; the next save is whole, and so is one that was left for another."""
    journal.save_state(numbered("old"), 1)
    append(journal)
    with closing(sqlite3.connect(journal.path)) as file:
        file.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON state_changes WHEN new.value = x'{b'new 999'.hex()}'"
            " BEGIN SELECT RAISE(ABORT, 'injected'); END"
        )
        journal.begin_save(numbered("new"), 2)
        steps = iter(journal.save_some, True)
        with pytest.raises(sqlite3.IntegrityError, match="injected"):
            list(steps)
        journal.reopen()
        assert (dict(journal.state()), journal.saved) == (numbered("old"), 1)
        file.execute("DROP TRIGGER refuse")
    journal.begin_save(numbered("left alone"), 2)
    journal.save_some()
    journal.save_state(numbered("newer"), 2)
    assert (dict(journal.state()), journal.saved) == (numbered("newer"), 2)
    journal.close()
    journal.open()
    assert dict(journal.state()) == numbered("newer")


def test_nothing_to_save_moves_the_position(journal: SqliteJournal) -> None:
    """Entries that changed nothing needn't be applied again."""
    journal.save_state({}, 1)
    assert journal.saved == 1
    journal.close()
    journal.open()
    assert (journal.saved, journal.merging) == (1, True)
    journal.merge_some()
    assert not journal.merging


async def test_events_that_come_during_a_save_count_once(file_place: Place, tmp_path: Path) -> None:
    """Whenever the process ends, a restart applies what the saved state doesn't include, and nothing else."""
    store = await file_place.open(save_entries=2000, save_s=1000.0)
    copies: list[tuple[Path, int]] = []
    during_a_save = 0
    for batch in range(1, 400):
        await store.apply(
            [activity(f"{batch}-{number}", f"action-{number * 7 % 1500}") for number in range(400)]
        )
        if batch % 4 == 0:
            path = tmp_path / f"copy-{batch}.db"
            await asyncio.to_thread(maintenance.backup, file_place.target, path)
            copies.append((path, 400 * batch))
            with closing(sqlite3.connect(path)) as file:
                (left,) = file.execute("SELECT COUNT(*) FROM state_changes").fetchone()
            during_a_save += left > 0
            if during_a_save > 1 and len(copies) > 8:
                break
    assert during_a_save > 1
    assert file_place.state_position() > 2000
    for path, expected in copies:
        place = Place(str(path), file_place.stack)
        again = await place.open(fold := CountingFold())
        assert fold.total == expected
        await place.close(again)


def test_a_store_of_the_schema_before_is_read_and_migrated(tmp_path: Path) -> None:
    """Its state is as it was; who only reads leaves it as it is."""
    path = tmp_path / "events.db"
    with closing(sqlite_file.connect(path, "rwc")) as file:
        file.execute(f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}")
        sqlite_file.migrate(file, sqlite_file.MIGRATIONS[:1])
        digest = state_digest("a", b"1").to_bytes(DIGEST_BYTES, "big")
        file.execute("INSERT INTO state VALUES ('a', ?, x'31')", (digest,))
        file.execute("UPDATE progress SET state_digest = ?", (digest,))
    inspection = maintenance.inspect(str(path))
    assert (inspection.schema_version, inspection.state_rows) == (1, 1)
    journal = SqliteJournal(path)
    journal.open()
    assert dict(journal.state()) == {"a": b"1"}
    append(journal)
    journal.save_state({"a": None, "b": b"2"}, 1)
    journal.close()
    inspection = maintenance.inspect(str(path))
    assert (inspection.schema_version, inspection.state_rows, inspection.state_position) == (2, 1, 1)


def test_a_change_that_was_altered_is_found(journal: SqliteJournal) -> None:
    """What isn't where it belongs yet is under the digest too."""
    journal.begin_save(numbered("new"), 1)
    while not journal.save_some():
        pass
    journal.close()
    with closing(sqlite3.connect(journal.path)) as file:
        file.execute("UPDATE state_changes SET value = x'00' WHERE number = 7")
        file.commit()
    with pytest.raises(StoreRefusedError, match="the saved state doesn't match its digest"):
        journal.open()
