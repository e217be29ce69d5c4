"""A SQLite file that is cut, altered, or isn't a store: it is recovered to a prefix, or refused."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ansflow_gateway.domain.events import Event
from ansflow_gateway.errors import StoreRefusedError
from ansflow_gateway.storage import sqlite_file
from ansflow_gateway.storage.options import StoreOptions
from ansflow_gateway.storage.sqlite import SqliteEventStore
from support.counting_fold import CountingFold, activity
from support.stores import Place

CUTS = 64
"""Offsets at which each file is cut."""

EVENTS = 600
"""Events in the store that is cut; each tenth is counted under a name of its own."""


async def _open(path: Path) -> CountingFold:
    fold = CountingFold()
    store = SqliteEventStore(path, fold)
    await store.open()
    await store.close()
    return fold


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store's files as a power cut leaves them: part of the WAL is in the file, part isn't."""
    folder = tmp_path_factory.mktemp("lived-in")

    async def live() -> None:
        store = SqliteEventStore(folder / "live.db", CountingFold(), StoreOptions(save_entries=50))
        await store.open()
        for number in range(0, EVENTS, 5):
            await store.apply([_event(number + item) for item in range(5)])
            if number == EVENTS // 2:
                with closing(sqlite3.connect(folder / "live.db")) as other:
                    other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for suffix in ("", "-wal"):
            shutil.copy(folder / f"live.db{suffix}", folder / f"events.db{suffix}")
        await store.close()

    asyncio.run(live())
    assert (folder / "events.db-wal").stat().st_size > 100_000
    return folder / "events.db"


def _event(number: int) -> Event:
    return activity(f"e{number}", f"action-{number % 10}" if number % 2 else f"own-{number}")


def _copy(source: Path, target: Path) -> Path:
    for suffix in ("", "-wal"):
        shutil.copy(f"{source}{suffix}", f"{target}{suffix}")
    return target


def _size(path: Path | str) -> int:
    return Path(path).stat().st_size


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _unlink_all(*paths: str) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


async def _is_prefix_or_refused(path: Path) -> int | None:
    """Open a damaged store; check that what it counts is exactly some prefix of what was sent."""
    try:
        fold = await _open(path)
    except StoreRefusedError as error:
        if sqlite_file.WAY_OUT not in str(error):
            raise
        return None
    prefix = CountingFold()
    for number in range(fold.total):
        prefix.counts[f"action\0action-{number % 10}" if number % 2 else f"action\0own-{number}"] += 1
    assert dict(fold.counts) == dict(prefix.counts)
    return fold.total


async def test_undamaged_it_has_everything(lived_in: Path, tmp_path: Path) -> None:
    """The copies that are cut below are whole before that."""
    assert await _is_prefix_or_refused(_copy(lived_in, tmp_path / "events.db")) == EVENTS


async def test_a_wal_cut_anywhere_gives_a_prefix_or_a_refusal(lived_in: Path, tmp_path: Path) -> None:
    """Of a cut WAL the whole commits are used; where the file is ahead of it, the store is refused."""
    size = _size(f"{lived_in}-wal")
    totals = set()
    for cut in range(CUTS):
        path = _copy(lived_in, tmp_path / f"events-{cut}.db")
        os.truncate(f"{path}-wal", size * cut // CUTS + cut)
        totals.add(await _is_prefix_or_refused(path))
    assert len(totals) > 5, "the cuts are at different events"


async def test_a_file_truncated_anywhere_is_recovered_or_refused(lived_in: Path, tmp_path: Path) -> None:
    """A file that lost its end is refused, unless the WAL has what was lost."""
    size = _size(lived_in)
    for cut in range(CUTS):
        path = _copy(lived_in, tmp_path / f"events-{cut}.db")
        os.truncate(path, size * cut // CUTS)
        await _is_prefix_or_refused(path)


async def test_a_file_without_its_wal_is_truncated_anywhere_and_refused(tmp_path: Path) -> None:
    """A closed store that lost anything of its end is refused."""
    place = tmp_path / "events.db"
    store = SqliteEventStore(place, CountingFold())
    await store.open()
    for number in range(EVENTS):
        await store.apply([_event(number)])
    await store.close()
    whole = place.read_bytes()
    assert [file.name for file in _files(tmp_path)] == ["events.db", "events.db.lock"]
    for cut in range(CUTS):
        place.write_bytes(whole[: len(whole) * cut // CUTS])
        with pytest.raises(StoreRefusedError):
            await _open(place)
    place.write_bytes(whole)
    assert (await _open(place)).total == EVENTS


async def test_an_altered_byte_never_alters_a_count(tmp_path: Path) -> None:
    """A byte that changed anywhere is found, or didn't matter."""
    place = tmp_path / "events.db"
    store = SqliteEventStore(place, CountingFold())
    await store.open()
    await store.apply([_event(number) for number in range(EVENTS)])
    await store.close()
    whole = place.read_bytes()
    counts = (await _open(place)).counts
    refused = 0
    for step in range(CUTS):
        where = len(whole) * step // CUTS + step * 7
        place.write_bytes(whole[:where] + bytes([whole[where] ^ 0x10]) + whole[where + 1 :])
        _unlink_all(f"{place}-wal", f"{place}-shm")
        try:
            assert (await _open(place)).counts == counts
        except StoreRefusedError:
            refused += 1
    assert refused > CUTS // 2


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """An empty file is a lost store, not a new one: SQLite itself would begin from zero."""
    path = tmp_path / "events.db"
    path.touch()
    with pytest.raises(StoreRefusedError) as caught:
        await _open(path)
    assert str(caught.value) == f"the store {path} is corrupt: the file is empty; {sqlite_file.WAY_OUT}"
    assert path.stat().st_size == 0


async def test_a_wal_without_its_file_is_refused(lived_in: Path, tmp_path: Path) -> None:
    """Where the file is gone and its WAL is there, nothing new is made in its place."""
    path = _copy(lived_in, tmp_path / "events.db")
    path.unlink()
    with pytest.raises(StoreRefusedError, match="the file is gone, and its -wal is there"):
        await _open(path)
    assert not path.exists()


async def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """Neither a text nor another application's database is written to."""
    text = tmp_path / "notes.txt"
    text.write_text("not a database\n" * 100)
    with pytest.raises(StoreRefusedError) as caught:
        await _open(text)
    assert str(caught.value) == (
        f"the store {text} is no SQLite database; name another file, or {sqlite_file.WAY_OUT}"
    )
    assert text.read_text().startswith("not a database")
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("CREATE TABLE journal (x)")
    before = foreign.read_bytes()
    with pytest.raises(StoreRefusedError) as caught:
        await _open(foreign)
    assert str(caught.value) == (
        f"the store {foreign} is a database of another application (application_id 0x00000007); "
        "name another file"
    )
    assert foreign.read_bytes() == before


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A store that a newer gateway wrote is left to that one."""
    path = tmp_path / "events.db"
    await _open(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreRefusedError) as caught:
        await _open(path)
    assert str(caught.value) == (
        f"the store {path} has schema version 99, and this gateway knows 2: "
        "run the gateway that wrote it, or a newer one"
    )


async def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A path in no directory is an error of who named it."""
    path = tmp_path / "nowhere" / "events.db"
    with pytest.raises(
        StoreRefusedError, match=r"can't be locked: No such file or directory .*name a file in"
    ):
        await _open(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("DELETE FROM journal WHERE position = 4", "the journal lacks the positions 4 to 6"),
        (
            "DELETE FROM journal WHERE position = 7",
            "the state was saved at position 9, and the journal ends at 6",
        ),
        (
            "UPDATE journal SET events = x'00' WHERE position = 1",
            "block at position 1 doesn't match its checksum",
        ),
        ("DELETE FROM state WHERE value = x'31'", "the saved state doesn't match its digest"),
        ("DELETE FROM progress", "its progress is missing"),
    ],
)
async def test_what_sqlite_cannot_see_is_refused(file_place: Place, damage: str, message: str) -> None:
    """A missing or altered block, and a state of another moment, are found."""
    store = await file_place.open()
    for block in range(3):
        await store.apply([_event(3 * block + item) for item in range(3)])
    await file_place.close(store)
    with closing(sqlite3.connect(file_place.target)) as connection:
        connection.execute(damage)
        connection.commit()
    with pytest.raises(StoreRefusedError, match=message):
        await file_place.open()


async def test_an_older_schema_is_migrated(tmp_path: Path) -> None:
    """Each version's script is run once, in its order, and the version is remembered."""
    path = tmp_path / "events.db"
    with closing(sqlite_file.connect(path, "rwc")) as connection:
        sqlite_file.migrate(connection, ["CREATE TABLE one (x)"])
        sqlite_file.migrate(
            connection, ["CREATE TABLE one (x)", "CREATE TABLE two (x);\nINSERT INTO two VALUES (1)"]
        )
        sqlite_file.migrate(connection, ["CREATE TABLE one (x)", "CREATE TABLE two (x)"])
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT x FROM two").fetchall() == [(1,)]
        with pytest.raises(sqlite3.OperationalError):
            sqlite_file.migrate(
                connection, ["", "", "CREATE TABLE three (x);\nINSERT INTO nowhere VALUES (1)"]
            )
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'three'").fetchone() is None
