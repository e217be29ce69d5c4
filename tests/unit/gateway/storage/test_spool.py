"""The spool: webhooks wait on the disk while the store refuses."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.errors import StoreRefusedError, StoreUnavailableError
from ansflow_gateway.storage import spool as spool_module
from ansflow_gateway.storage.spool import Spool, SpoolFullError
from ansflow_gateway.storage.sqlite import SqliteEventStore
from support.counting_fold import CountingFold, activity
from support.stores import Place, eventually

QUOTA = 1 << 20


class RefusingStore(SqliteEventStore):
    """A store that refuses as long as it is told to; else it is the real one."""

    refuses = True

    async def apply(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Refuse, or take events in."""
        if self.refuses:
            raise StoreUnavailableError("told to refuse")
        return await super().apply(events)


def _opened(folder: Path, quota: int = QUOTA) -> Spool:
    spool = Spool(folder / "spool", quota)
    spool.open()
    return spool


async def test_what_waits_goes_into_the_store_in_order_when_it_works_again(tmp_path: Path) -> None:
    """Nothing is given up while the store refuses; afterwards the spool is empty."""
    fold = CountingFold()
    store = RefusingStore(tmp_path / "events.db", fold)
    await store.open()
    spool = _opened(tmp_path)
    running = asyncio.create_task(spool.run(store))
    for number in range(0, 1_200, 3):
        await spool.append([activity(f"e{number + item}") for item in range(3)])
    assert spool.pending == 1_200
    assert spool.pending_bytes == sum(file.stat().st_size for file in _segments(tmp_path))
    store.refuses = False
    await eventually(lambda: _equal((spool.pending, spool.pending_bytes), (0, 0)))
    assert fold.applied == [f"e{number}" for number in range(1_200)]
    assert _segments(tmp_path) == []
    await spool.append([activity("later")])
    await eventually(lambda: _equal(fold.applied[-1], "later"))
    running.cancel()
    spool.close()
    await store.close()


async def test_concurrent_appends_are_each_whole(file_place: Place, tmp_path: Path) -> None:
    """Appends at once, some of them cancelled, leave whole records."""
    spool = _opened(tmp_path)
    tasks = [asyncio.create_task(spool.append([activity(f"{n}-a"), activity(f"{n}-b")])) for n in range(50)]
    await asyncio.sleep(0.005)
    for task in tasks[10::10]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    fold = CountingFold()
    await spool.drain(await file_place.open(fold))
    assert {f"{n}-{part}" for n in range(50) if n % 10 or not n for part in "ab"} <= set(fold.applied)
    assert spool.damaged == 0
    spool.close()


async def test_it_survives_a_restart(file_place: Place, tmp_path: Path) -> None:
    """What was appended is found by the next process, and new events come after it."""
    first = _opened(tmp_path)
    await first.append([activity("a"), activity("b")])
    first.close()
    second = _opened(tmp_path)
    assert second.pending == 2
    await second.append([activity("c")])
    fold = CountingFold()
    assert await second.drain(await file_place.open(fold)) == 3
    assert fold.applied == ["a", "b", "c"]
    second.close()


async def test_a_drain_that_was_cut_off_counts_nothing_twice(file_place: Place, tmp_path: Path) -> None:
    """Events that reached the store before a crash are duplicates when the segment comes again."""
    spool = _opened(tmp_path)
    await spool.append([activity("a"), activity("b")])
    fold = CountingFold()
    store = await file_place.open(fold)
    await store.apply([activity("a")])
    assert await spool.drain(store) == 2
    assert fold.applied == ["a", "b"]
    spool.close()


async def test_the_quota_holds(tmp_path: Path) -> None:
    """Beyond the quota nothing is written, also after a restart; what is there stays."""
    spool = _opened(tmp_path, quota=2_000)
    while spool.pending_bytes < 1_850:
        await spool.append([activity(f"e{spool.pending}")])
    with pytest.raises(SpoolFullError, match=r"holds \d+ of 2000 bytes, and \d+ more don't fit"):
        await spool.append([activity("a"), activity("b")])
    assert 0 < spool.pending < 100
    assert sum(file.stat().st_size for file in _segments(tmp_path)) <= 2_000
    spool.close()
    again = _opened(tmp_path, quota=2_000)
    assert again.pending == spool.pending
    with pytest.raises(StoreUnavailableError):
        await again.append([activity("late"), activity("later")])
    again.close()


async def test_segments_follow_each_other(
    file_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large spools are many files, each deleted when it is in the store."""
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 1_000)
    spool = _opened(tmp_path)
    for number in range(60):
        await spool.append([activity(f"e{number}")])
    assert len(_segments(tmp_path)) > 3
    spool.close()
    spool = _opened(tmp_path)
    fold = CountingFold()
    await spool.drain(await file_place.open(fold))
    assert fold.applied == [f"e{number}" for number in range(60)]
    assert _segments(tmp_path) == []
    spool.close()


async def test_a_torn_tail_is_skipped_and_counted(file_place: Place, tmp_path: Path) -> None:
    """Cut anywhere, a segment gives its whole records, and the cut one is counted."""
    spool = _opened(tmp_path)
    await spool.append([activity(f"e{number}") for number in range(3)])
    size = spool.pending_bytes
    spool.close()
    (segment,) = _segments(tmp_path)
    whole = segment.read_bytes()
    record = (size - 8) // 3
    store = await file_place.open(fold := CountingFold())
    for cut in range(8, size):
        segment.write_bytes(whole[:cut])
        spool = _opened(tmp_path)
        assert spool.pending == (cut - 8) // record
        assert spool.damaged == ((cut - 8) % record != 0)
        spool.close()
    segment.write_bytes(whole[: size - 1])
    spool = _opened(tmp_path)
    await spool.drain(store)
    assert fold.applied == ["e0", "e1"]
    assert _segments(tmp_path) == []
    assert list((tmp_path / "spool").glob("*.damaged")) == []
    spool.close()


async def test_an_altered_record_is_kept_for_a_person(file_place: Place, tmp_path: Path) -> None:
    """Where acknowledged records may be lost, the segment is put aside instead of deleted."""
    spool = _opened(tmp_path)
    await spool.append([activity(f"e{number}") for number in range(3)])
    spool.close()
    (segment,) = _segments(tmp_path)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    spool = _opened(tmp_path)
    assert (spool.damaged, spool.pending) == (1, 1)
    await spool.drain(await file_place.open(fold := CountingFold()))
    assert fold.applied == ["e0"]
    assert [file.read_bytes() for file in (tmp_path / "spool").glob("*.damaged")] == [bytes(data)]
    spool.close()


async def test_a_disk_that_fails_is_no_acknowledgement(
    file_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event whose sync failed is refused, and isn't drained; the spool goes on when the disk does."""
    spool = _opened(tmp_path)
    await spool.append([activity("a")])
    with monkeypatch.context() as failing:
        failing.setattr(os, "fdatasync", _fail)
        for _ in range(3):
            with pytest.raises(StoreUnavailableError, match="can't be written: injected"):
                await spool.append([activity("lost")])
    await spool.append([activity("b")])
    assert spool.pending == 2
    await spool.drain(await file_place.open(fold := CountingFold()))
    assert fold.applied == ["a", "b"]
    assert _segments(tmp_path) == []
    spool.close()


def _fail(_: int) -> None:
    raise OSError(5, "injected")


async def test_two_gateways_have_two_spools(tmp_path: Path) -> None:
    """A directory that is in use is refused; a file in its place too."""
    spool = _opened(tmp_path)
    with pytest.raises(StoreRefusedError, match="held by another gateway"):
        _opened(tmp_path)
    spool.close()
    (tmp_path / "file").touch()
    with pytest.raises(StoreRefusedError, match="can't be made"):
        Spool(tmp_path / "file" / "spool", QUOTA).open()


def _segments(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.spool"))


def _equal(left: object, right: object) -> None:
    assert left == right
