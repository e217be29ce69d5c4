"""A disk that is full or fails, processes that are killed, and two that want one file."""

import contextlib
import random
import resource
import sqlite3
from pathlib import Path

import pytest
from ansflow_gateway.errors import StoreRefusedError
from ansflow_gateway.storage.sqlite import SqliteEventStore
from support.counting_fold import CountingFold
from support.failing_disk import make_disk
from support.store_process import running
from support.store_program import counted

SENT = 100_000
"""Events sent while the store is killed again and again; that many and those kills are issue 5's."""

KILLS = 20

BATCH = 50

IN_FLIGHT = 8
"""Batches sent before the first answer is awaited."""


async def _read(path: Path) -> CountingFold:
    fold = CountingFold()
    store = SqliteEventStore(path, fold)
    await store.open()
    await store.close()
    return fold


async def test_twenty_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    """Killed at random moments, a store has each acknowledged event, and the counts are exact in the end.

    The sender sends batches in a random order, with duplicates among them, and sends each again until it is
    acknowledged.
    """
    path = tmp_path / "events.db"
    dice = random.Random(5)  # noqa: S311 - a seed makes the run the same each time
    unique = SENT * 4 // 5
    numbers = [*range(unique), *dice.choices(range(unique), k=SENT - unique)]
    dice.shuffle(numbers)
    batches = [
        " ".join(f"{number}.{dice.randrange(2)}" for number in numbers[start : start + BATCH])
        for start in range(0, SENT, BATCH)
    ]
    # So many batches are acknowledged between two kills; then a random time passes that is shorter than those
    # in flight take.
    stretch = len(batches) // (KILLS + 1) - IN_FLIGHT
    unacknowledged = list(range(len(batches)))
    acknowledged: set[int] = set()
    kills = 0
    while unacknowledged:
        with running(path, save_s=0.05, save_entries=3_000) as program:
            assert program.greeting == "ready"
            flying: list[int] = []
            done = 0
            while unacknowledged or flying:
                while unacknowledged and len(flying) < IN_FLIGHT:
                    flying.append(unacknowledged.pop())
                    program.send(f"{flying[-1]} {batches[flying[-1]]}")
                tag, verdicts = program.answers.readline().split()
                assert set(verdicts) <= {"A", "D"}
                flying.remove(int(tag))
                acknowledged.update(_numbers(batches[int(tag)]))
                done += 1
                if kills < KILLS and done >= stretch:
                    program.kill(after_s=dice.random() * 0.005)
                    kills += 1
                    for answer in program.answers:
                        if answer.endswith("\n") and len(parts := answer.split()) == 2:
                            flying.remove(int(parts[0]))
                            acknowledged.update(_numbers(batches[int(parts[0])]))
                    break
            unacknowledged = flying + unacknowledged
        if kills % 5 == 0:
            fold = await _read(path)
            assert fold.total >= len(acknowledged), "an acknowledged event is lost"
    assert kills == KILLS
    fold = await _read(path)
    assert dict(fold.counts) == counted(set(range(unique)))
    with running(path) as program:
        # Each of them is known, by its own name.
        for start in range(0, unique, 2_000):
            answer = program.ask("x " + " ".join(map(str, range(start, min(unique, start + 2_000)))))
            assert set(answer.split()[1]) == {"D"}


def _numbers(batch: str) -> set[int]:
    return {int(number.partition(".")[0]) for number in batch.split()}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """Give the environment with a disk that can fail, and the flag file that makes it fail."""
    disk = make_disk(tmp_path_factory.mktemp("disk"))
    return disk.environ, disk.flag


@pytest.mark.parametrize(("fault", "reason"), [("sync", "disk I/O error"), ("full", "full|disk I/O error")])
async def test_what_the_disk_refuses_is_not_acknowledged(
    tmp_path: Path, faulty: tuple[dict[str, str], Path], fault: str, reason: str
) -> None:
    """While fsync or writing fails nothing is acknowledged; after that the store recovers by itself."""
    environ, flag = faulty
    path = tmp_path / "events.db"
    acknowledged: set[int] = set()
    with running(path, environ, probe_s=0.05, save_entries=7) as program:
        assert program.greeting == "ready"
        assert program.ask("p") == "p None"
        for round_ in range(3):
            first = 100 * round_
            for number in range(first, first + 10):
                assert program.ask(f"x {number}") == "x A"
                acknowledged.add(number)
            flag.write_text(fault)
            for number in range(first + 10, first + 15):
                answer = program.ask(f"x {number}")
                assert answer.startswith("x ! ")
                assert any(word in answer for word in reason.split("|")), answer
            assert program.ask("p") != "p None"
            flag.unlink()
            program.wait_for_recovery()
            # Sent again, they are new; or the failed commit was there after all, and counted then.
            for number in range(first + 10, first + 15):
                assert program.ask(f"x {number}") in {"x A", "x D"}
                acknowledged.add(number)
        assert program.ask("?") == f"? {len(acknowledged)}"
    assert dict((await _read(path)).counts) == counted(acknowledged)


async def test_a_new_call_is_enough_to_recover(tmp_path: Path, faulty: tuple[dict[str, str], Path]) -> None:
    """Without waiting for the next probe, the first call after the fault is taken."""
    environ, flag = faulty
    with running(tmp_path / "events.db", environ, probe_s=1_000.0) as program:
        flag.write_text("sync")
        assert program.ask("x 1").startswith("x ! ")
        flag.unlink()
        assert program.ask("x 2") == "x A"
        assert program.ask("p") == "p None"


async def test_a_kill_while_the_disk_fails_loses_nothing(
    tmp_path: Path, faulty: tuple[dict[str, str], Path]
) -> None:
    """A store that is killed amid errors has what it acknowledged before."""
    environ, flag = faulty
    path = tmp_path / "events.db"
    with running(path, environ, probe_s=0.01) as program:
        assert program.ask("x 1 3 5") == "x AAA"
        flag.write_text("sync")
        assert program.ask("x 7").startswith("x ! ")
        program.kill()
    flag.unlink()
    assert (await _read(path)).total in {3, 4}
    with running(path) as program:
        assert program.ask("x 1 3 5 7 7") in {"x DDDAD", "x DDDDD"}
        assert program.ask("?") == "? 4"


@pytest.mark.parametrize("fault", ["full", "torn"])
async def test_a_store_that_is_opened_on_a_full_disk(
    tmp_path: Path, faulty: tuple[dict[str, str], Path], fault: str
) -> None:
    """Where the disk is full a store isn't made, and one that needs room to be opened is refused for now.

    The words are about the disk, and don't advise to start from zero. One that was killed, amid a save even,
    is opened, and takes events when there is room.
    """
    environ, flag = faulty
    path = tmp_path / "events.db"
    flag.write_text(fault)
    with running(path, environ) as program:
        assert program.greeting == f"refused: the store {path} can't be made: database or disk is full"
    flag.unlink()
    with running(path, environ) as program:
        assert program.ask("x 1 3") == "x AA"
    flag.write_text(fault)
    with running(path, environ) as program:
        assert program.greeting.startswith(f"refused: the store {path} can't be opened: ")
        assert "has room" in program.greeting
        assert "zero" not in program.greeting
    flag.unlink()
    with running(path, environ, probe_s=0.05) as program:
        assert program.ask("x 5") == "x A"
        program.kill()
    # While somebody has the file open, its WAL stays as the kill has left it.
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(
            "INSERT INTO state_changes SELECT changes_through + 1, 'k', zeroblob(8), NULL FROM progress"
        )
        flag.write_text(fault)
        with running(path, environ, probe_s=0.05) as program:
            assert program.greeting == "ready"
            assert program.ask("x 7").startswith("x ! ")
            flag.unlink()
            program.wait_for_recovery()
            assert program.ask("x 7 1") in {"x AD", "x DD"}
            assert program.ask("?") == "? 4"


async def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    """The kernel's own limit on a file's size is met: refusals, and everything acknowledged is there."""
    path = tmp_path / "events.db"
    with running(path, {}, probe_s=0.05) as program:
        unlimited = resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (400_000, unlimited[1]))
        answers = [
            program.ask(f"x {' '.join(str(1 + 2 * n) for n in range(start, start + 100))}")
            for start in range(0, 4_000, 100)
        ]
        acknowledged = sum(answer == f"x {'A' * 100}" for answer in answers) * 100
        assert 0 < acknowledged < 4_000
        assert program.ask("p") != "p None"
        resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, unlimited)
        program.wait_for_recovery()
        assert program.ask("x 8001") == "x A"
    assert (await _read(path)).total >= acknowledged + 1


async def test_a_second_gateway_is_refused(tmp_path: Path) -> None:
    """A file that a process holds is refused to another by name of the holder; by any path; until it ends."""
    path = tmp_path / "events.db"
    link = tmp_path / "link.db"
    with running(path) as program:
        link.symlink_to(path)
        for name in (path, link):
            with pytest.raises(StoreRefusedError) as caught:
                await _read(name)
            assert str(caught.value) == (
                f"the store {path} is held by another gateway (process {program.process.pid}); stop that "
                "one, or give this one a store of its own: several gateways share a PostgreSQL database"
            )
        with running(path) as second:
            assert second.greeting.startswith("refused: ")
        assert program.ask("x 1") == "x A"
        program.kill()
    assert (await _read(path)).total == 1
