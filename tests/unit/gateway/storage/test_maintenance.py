"""Backup, restore, export and inspection of stores, in use and at rest."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from ansflow_gateway.domain.identity import delivery_key
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.errors import StoreRefusedError
from ansflow_gateway.storage import maintenance
from ansflow_gateway.storage.opening import open_store
from ansflow_gateway.storage.postgres import PostgresEventStore
from ansflow_gateway.storage.postgres_url import masked, shared_name
from ansflow_gateway.storage.records import decode_event, make_record
from ansflow_gateway.storage.sqlite import SqliteEventStore
from support.counting_fold import CountingFold, activity, run_started
from support.stores import Place


async def test_a_backup_of_a_store_in_use_is_of_one_moment(file_place: Place, tmp_path: Path) -> None:
    """While events come in, a backup has whole calls: all that was acknowledged before it began."""
    store = await file_place.open(save_entries=50)
    for number in range(40):
        await store.apply([activity(f"{number}-{item}") for item in range(5)])
    target = tmp_path / "backup.db"
    backing_up = asyncio.create_task(asyncio.to_thread(maintenance.backup, file_place.target, target))
    number = 40
    while not backing_up.done():
        await store.apply([activity(f"{number}-{item}") for item in range(5)])
        number += 1
    inspection = await backing_up
    assert inspection.entries >= 200
    assert inspection.entries % 5 == 0
    assert inspection == maintenance.inspect(str(target))
    copied = Place(str(target), file_place.stack)
    await copied.open(fold := CountingFold())
    assert fold.total == inspection.entries


async def test_a_store_and_its_copies_are_their_owners_alone(file_place: Place, tmp_path: Path) -> None:
    """Whatever the umask: the journal says who did what."""
    before = os.umask(0o022)
    try:
        store = await file_place.open()
        await store.apply([activity("a")])
        backup, restored = tmp_path / "backup.db", tmp_path / "restored.db"
        maintenance.backup(file_place.target, backup)
        maintenance.restore(backup, str(restored))
        files = [tmp_path / name for name in os.listdir(tmp_path)]  # noqa: PTH208 - in a coroutine
        assert {"events.db", "events.db-wal", "backup.db", "restored.db"} <= {path.name for path in files}
        assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {
            path.name: "0o600" for path in files
        }
    finally:
        os.umask(before)


async def test_a_backup_overwrites_nothing(file_place: Place, tmp_path: Path) -> None:
    """A target that exists is left alone, and no unfinished file stays behind."""
    await file_place.close(await file_place.open())
    target = tmp_path / "backup.db"
    target.write_text("precious")
    with pytest.raises(StoreRefusedError, match=r"backup\.db exists; name a file that doesn't"):
        maintenance.backup(file_place.target, target)
    assert target.read_text() == "precious"
    with pytest.raises(StoreRefusedError):
        maintenance.backup(file_place.target, tmp_path / "nowhere" / "backup.db")
    assert _names(tmp_path) == ["backup.db", "events.db", "events.db.lock"]


async def test_a_restored_store_goes_on_where_the_backup_was(file_place: Place, tmp_path: Path) -> None:
    """Counts and known events are the backup's; what came later counts when it is sent again."""
    store = await file_place.open()
    await store.apply([activity("a"), run_started("1", "b")])
    backup = tmp_path / "backup.db"
    maintenance.backup(file_place.target, backup)
    await store.apply([activity("c")])
    with pytest.raises(StoreRefusedError, match="held by another gateway"):
        maintenance.restore(backup, file_place.target, overwrite=True)
    await file_place.close(store)
    with pytest.raises(StoreRefusedError, match=r"events\.db exists; say so if it is to be overwritten"):
        maintenance.restore(backup, file_place.target)
    assert maintenance.restore(backup, file_place.target, overwrite=True).entries == 2
    store = await file_place.open(fold := CountingFold())
    assert await store.apply([activity("a"), run_started("1", "x"), activity("c")]) == [
        Verdict.DUPLICATE,
        Verdict.DUPLICATE,
        Verdict.ACCEPTED,
    ]
    assert fold.total == 3


async def test_a_damaged_backup_is_not_restored(file_place: Place, tmp_path: Path) -> None:
    """A backup is verified before anything is lost."""
    store = await file_place.open()
    await store.apply([activity("a")])
    await file_place.close(store)
    backup = tmp_path / "backup.db"
    maintenance.backup(file_place.target, backup)
    backup.write_bytes(backup.read_bytes()[:-8192])
    with pytest.raises(StoreRefusedError, match="corrupt"):
        maintenance.restore(backup, file_place.target, overwrite=True)
    assert maintenance.inspect(file_place.target).entries == 1
    with pytest.raises(StoreRefusedError, match="is both the backup and the store"):
        maintenance.restore(Path(file_place.target), file_place.target, overwrite=True)


async def test_an_export_has_every_entry_in_order(place: Place) -> None:
    """Each entry is a line of JSON: its position, when it came, and the event in full."""
    store = await place.open(clock=lambda: 1_800_000_123.5)
    events = [activity("a"), run_started("1", "b"), activity("c")]
    await store.apply(events[:2])
    await store.apply([*events[1:], activity("a")])
    exported = await asyncio.to_thread(lambda: list(maintenance.export(place.target)))
    lines = json.loads(json.dumps(exported))
    assert [line["event"]["id"] for line in lines] == ["a", "b", "c"]
    assert [line["received_at"] for line in lines] == [1_800_000_123.5] * 3
    assert sorted({line["position"] for line in lines}) == [line["position"] for line in lines]
    assert lines[1]["event"]["payload"]["run"] == ["ansflow", "shop", "1", 1]


async def test_an_inspection_tells_what_there_is(file_place: Place) -> None:
    """Counts and positions are those of the file, also when the journal was compacted."""
    store = await file_place.open(clock=lambda: 1_800_000_000.0)
    await store.apply([activity(action="x"), activity(action="y"), activity(action="x")])
    await file_place.close(store)
    assert maintenance.inspect(file_place.target).as_dict() == {
        "schema_version": 2,
        "position": 3,
        "state_position": 3,
        "entries": 3,
        "state_rows": 2,
        "oldest_received_at": 1_800_000_000.0,
    }
    with pytest.raises(StoreRefusedError, match="can't be read"):
        maintenance.inspect(file_place.target + ".nowhere")


def test_postgres_is_backed_up_by_its_own_tools(tmp_path: Path) -> None:
    """The refusal names the tool, and no password."""
    url = "postgresql://ansflow:hunter2@db.example:5432/events?sslmode=require&password=hunter3"
    with pytest.raises(StoreRefusedError) as caught:
        maintenance.backup(url, tmp_path / "backup.db")
    assert str(caught.value) == (
        "postgresql://ansflow:***@db.example:5432/events is a PostgreSQL database: use PostgreSQL's own "
        "pg_dump, which knows roles, extensions and streaming too"
    )
    with pytest.raises(StoreRefusedError, match="pg_restore"):
        maintenance.restore(tmp_path / "backup.db", url)


def test_a_setting_names_a_kind_of_store(tmp_path: Path) -> None:
    """URLs of PostgreSQL are its stores; everything else is a file."""
    assert isinstance(open_store("postgres://db/events", CountingFold()), PostgresEventStore)
    assert isinstance(open_store("postgresql://db/events", CountingFold()), PostgresEventStore)
    assert isinstance(open_store(str(tmp_path / "events.db"), CountingFold()), SqliteEventStore)
    assert masked("/var/lib/events.db") == "/var/lib/events.db"
    assert masked("postgres://user@db/events") == "postgres://user@db/events"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://ansflow:secret@db.example:6432/events?sslmode=require", "db.example:6432/events"),
        ("postgres://other@db.example/events", "db.example:5432/events"),
        ("postgresql://one:5432,two:5433/events", "one:5432,two:5433/events"),
        ("postgresql:///events?host=/run/postgresql", "localhost:5432/events"),
        ("postgresql://db.example", "db.example:5432"),
    ],
)
def test_gateways_that_share_a_database_know_it_by_one_name(url: str, name: str) -> None:
    """Host, port and database, with the port that is meant where none is given; no user, no password."""
    assert shared_name(url) == name


def test_a_record_has_the_keys_and_the_event() -> None:
    """What is kept of an event gives the event back."""
    event = run_started("1", "a")
    same, keys, encoded = make_record(event)
    assert same is event
    assert keys[0] == delivery_key(event)
    assert [len(key) for key in keys] == [16, 16]
    assert decode_event(encoded) == event


def _names(folder: Path) -> list[str]:
    # A reader leaves an empty -wal and its -shm beside the file: it may not delete them.
    return sorted(file.name for file in folder.iterdir() if not file.name.endswith(("-wal", "-shm")))
