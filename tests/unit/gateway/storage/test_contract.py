"""What every store does, over a real SQLite file and a real PostgreSQL."""

import asyncio
from collections.abc import Sequence

import pytest
from ansflow_gateway.domain.store import StateRow, Verdict
from ansflow_gateway.errors import OverloadedError, StoreUnavailableError
from ansflow_gateway.storage import sqlite
from support.counting_fold import CountingFold, activity, run_started
from support.stores import Clock, Place, eventually

A, D = Verdict.ACCEPTED, Verdict.DUPLICATE


async def test_new_events_are_accepted_and_folded_in_order(place: Place) -> None:
    """When `apply` returns, the events are in the fold, in the order they were given."""
    fold = CountingFold()
    store = await place.open(fold)
    assert await store.apply([activity(f"e{number}") for number in range(20)]) == [A] * 20
    assert await store.apply([activity("e20")]) == [A]
    assert fold.applied == [f"e{number}" for number in range(21)]
    assert store.leads
    assert store.problem is None
    assert store.waiting == 0


async def test_no_events_are_no_work(place: Place) -> None:
    """An empty call has no verdicts."""
    store = await place.open()
    assert list(await store.apply([])) == []


async def test_a_repeated_delivery_is_a_duplicate(place: Place) -> None:
    """Within a call and across calls, a delivery counts once."""
    fold = CountingFold()
    store = await place.open(fold)
    assert await store.apply([activity("a"), activity("b"), activity("a")]) == [A, A, D]
    assert await store.apply([activity("b"), activity("c")]) == [D, A]
    assert fold.total == 3


async def test_a_fact_told_again_is_a_duplicate(place: Place) -> None:
    """Another delivery of the same transition counts once, within a call and across calls."""
    fold = CountingFold()
    store = await place.open(fold)
    assert await store.apply([run_started("1", "a"), run_started("1", "b"), run_started("2", "c")]) == [
        A,
        D,
        A,
    ]
    assert await store.apply([run_started("2", "d"), run_started("3", "e")]) == [D, A]
    assert fold.applied == ["a", "c", "e"]


async def test_a_refused_duplicate_claims_nothing(place: Place) -> None:
    """Neither the id nor the fact of a duplicate becomes known by it."""
    store = await place.open()
    assert await store.apply([run_started("1", "a")]) == [A]
    # The delivery is known, so its other fact isn't taken; nor is the delivery of a known fact.
    assert await store.apply([run_started("2", "a"), run_started("1", "b")]) == [D, D]
    assert await store.apply([run_started("2", "c"), activity("b")]) == [A, A]


async def test_a_duplicate_within_a_call_claims_nothing(place: Place) -> None:
    """The same holds among the events of one call."""
    store = await place.open()
    assert await store.apply([run_started("1", "a")]) == [A]
    assert await store.apply([run_started("2", "a"), run_started("2", "b"), run_started("2", "b")]) == [
        D,
        A,
        D,
    ]
    assert await store.apply([run_started("1", "x"), activity("x"), activity("x")]) == [D, A, D]


async def test_concurrent_calls_count_each_event_once(place: Place) -> None:
    """Of many tasks that send the same events at once, one is told that it was new."""
    fold = CountingFold()
    store = await place.open(fold)
    events = [run_started(str(number), f"e{number}") for number in range(40)]
    answers = await asyncio.gather(
        *(store.apply([events[(start + step) % 40] for step in range(40)]) for start in range(25))
    )
    assert sum(answer.count(A) for answer in map(list, answers)) == 40
    assert fold.total == 40


async def test_a_restart_continues(place: Place) -> None:
    """After a restart the fold holds the same, and the store knows the same."""
    first = await place.open()
    await first.apply([activity("a"), run_started("1", "b")])
    await place.close(first)
    fold = CountingFold()
    second = await place.open(fold)
    assert fold.counts == {"action\0login": 1, "pipeline\0build": 1}
    assert fold.applied == [], "the state was saved at the end, so nothing had to be applied again"
    assert await second.apply([activity("a"), run_started("1", "c"), activity("d")]) == [D, D, A]
    assert fold.total == 3


async def test_a_restart_applies_what_was_not_saved(place: Place) -> None:
    """What came after the last save is applied again, and only that."""
    first = await place.open(save_entries=3)
    await first.apply([activity("a"), activity("b"), activity("c")])
    await eventually(lambda: _equal(place.state_position() > 0, True))
    await first.apply([activity("d"), activity("e")])
    copied = await place.crash(first)
    fold = CountingFold()
    second = await copied.open(fold)
    assert fold.applied == ["d", "e"]
    assert fold.total == 5
    assert await second.apply([activity("e"), activity("f")]) == [D, A]


async def test_a_save_that_failed_is_made_up_for(place: Place) -> None:
    """What the fold gave for a save that failed is saved with the next one."""
    first = await place.open(save_entries=2)
    with place.saves_failing():
        await first.apply([activity("a", "early"), activity("b", "early")])
        await eventually(lambda: _equal(first.problem is None and first.leads, False))
    await eventually(lambda: _equal((first.problem, first.leads), (None, True)))
    await first.apply([activity("c", "late"), activity("d", "late")])
    await eventually(lambda: _equal(place.state_position() > 0, True))
    await place.close(first)
    fold = CountingFold()
    await place.open(fold)
    assert dict(fold.counts) == {"action\0early": 2, "action\0late": 2}
    assert fold.applied == []


async def test_what_is_gone_of_the_state_stays_gone(place: Place) -> None:
    """A key whose value is None is not loaded again."""

    class Forgetful(CountingFold):
        def changed(self) -> Sequence[StateRow]:
            rows = dict(super().changed())
            return [
                (key, None if key.endswith("logout") and self.total > 2 else value)
                for key, value in rows.items()
            ]

    first = await place.open(Forgetful(), save_entries=1)
    await first.apply([activity(action="login"), activity(action="logout")])
    await first.apply([activity(action="logout")])
    await place.close(first)
    fold = CountingFold()
    await place.open(fold)
    assert dict(fold.counts) == {"action\0login": 1}


class Keeping(CountingFold):
    """A fold that is given something to keep by others than entries."""

    kept: bytes | None = None

    @property
    def unsaved(self) -> bool:
        """Tell that it isn't saved yet."""
        return self.kept is not None

    def changed(self) -> Sequence[StateRow]:
        """Give it, once, besides the counts."""
        kept, self.kept = self.kept, None
        return [*super().changed(), *([] if kept is None else [("kept", kept)])]


async def test_what_no_entry_brought_about_is_saved_without_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on the disk soon, as a crash shows, and what came last at the end; entries count once still."""
    monkeypatch.setattr(sqlite, "COMPACTION_CHECK_S", 0.05)
    fold = Keeping()
    first = await place.open(fold, save_s=0.05)
    await first.apply([activity("a")])
    await eventually(lambda: _equal(place.state_position() > 0, True))
    fold.kept = b"7"
    await eventually(lambda: _equal((fold.kept, place.state("kept")), (None, b"7")))
    copied = await place.crash(first)
    fold = Keeping()
    second = await copied.open(fold, save_s=1_000.0)
    assert dict(fold.counts) == {"action\0login": 1, "kept": 7}
    fold.kept = b"8"
    await copied.close(second)
    await copied.open(fold := Keeping())
    assert dict(fold.counts) == {"action\0login": 1, "kept": 8}
    assert fold.applied == []


async def test_a_call_beyond_the_limit_is_shed_whole(place: Place) -> None:
    """Where too many events wait, nothing of a call is taken; what waited is."""
    fold = CountingFold()
    store = await place.open(fold, max_waiting=100)
    waiting = [
        asyncio.create_task(store.apply([activity(f"{call}-{item}") for item in range(10)]))
        for call in range(10)
    ]
    await asyncio.sleep(0)
    assert store.waiting == 100
    with pytest.raises(OverloadedError, match="100 events wait to be committed; 1 more would exceed 100"):
        await store.apply([activity("late")])
    assert [list(answer) for answer in await asyncio.gather(*waiting)] == [[A] * 10] * 10
    assert store.waiting == 0
    assert await store.apply([activity("late")]) == [A]
    assert fold.total == 101


async def test_a_cancelled_caller_disturbs_nobody(place: Place) -> None:
    """A caller that goes away while waiting leaves the others their answers."""
    store = await place.open()
    gone = asyncio.create_task(store.apply([activity("a")]))
    stays = asyncio.create_task(store.apply([activity("b")]))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [A]
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert store.waiting == 0


async def test_closing_commits_what_waits(place: Place) -> None:
    """Calls that were taken before `close` are answered, and are there after it."""
    store = await place.open()
    waiting = [asyncio.create_task(store.apply([activity(f"e{number}")])) for number in range(50)]
    await asyncio.sleep(0)
    await place.close(store)
    assert [list(answer) for answer in await asyncio.gather(*waiting)] == [[A]] * 50
    fold = CountingFold()
    await place.open(fold)
    assert fold.total == 50


async def test_a_closed_store_takes_nothing(place: Place) -> None:
    """After `close`, a call is refused rather than lost."""
    store = await place.open()
    await place.close(store)
    with pytest.raises(StoreUnavailableError, match="the store is closed"):
        await store.apply([activity()])


async def test_an_event_that_cannot_be_encoded_fails_alone(place: Place) -> None:
    """A text that no store can hold fails the call it came with, and nobody else's."""
    store = await place.open()
    bad, good = await asyncio.gather(
        store.apply([activity("a", "\ud800")]), store.apply([activity("b")]), return_exceptions=True
    )
    assert isinstance(bad, UnicodeEncodeError)
    assert good == [A]
    assert store.waiting == 0
    assert await store.apply([activity("a")]) == [A], "and claims no id"


async def test_retention_by_number_bounds_the_journal_and_no_counter(place: Place) -> None:
    """The journal keeps the newest entries; the counts stay, also after a restart; old ids are forgotten."""
    fold = CountingFold()
    store = await place.open(fold, max_events=20, save_entries=1, max_group=10)
    for number in range(10):
        await store.apply([activity(f"{number}-{item}") for item in range(10)])
    await eventually(lambda: _equal(place.entries(), 20))
    assert await store.apply([activity("9-9"), activity("8-0"), activity("0-0")]) == [D, D, A]
    await place.close(store)
    fold = CountingFold()
    await place.open(fold)
    assert fold.total == 101


async def test_retention_by_age_bounds_the_journal_and_no_counter(place: Place) -> None:
    """What is older than the retention goes; positions are never used again, even if nothing is left."""
    clock = Clock()
    fold = CountingFold()
    store = await place.open(fold, retention_s=60.0, clock=clock)
    await store.apply([activity("a"), activity("b")])
    position = fold.position
    await place.close(store)
    clock.now += 61.0
    store = await place.open(fold_2 := CountingFold(), retention_s=60.0, clock=clock)
    await eventually(lambda: _equal(place.entries(), 0))
    await place.close(store)
    store = await place.open(fold_3 := CountingFold(), retention_s=60.0, clock=clock)
    assert await store.apply([activity("a")]) == [A]
    assert fold_3.position > position
    assert (fold_2.total, fold_3.total) == (2, 3)


async def test_what_the_saved_state_does_not_include_is_kept(place: Place) -> None:
    """Compaction leaves alone what a restart has to apply."""
    store = await place.open(max_events=5, save_entries=1_000, save_s=1_000.0, max_group=10)
    for number in range(8):
        await store.apply([activity(f"{number}-{item}") for item in range(10)])
    assert place.entries() == 80


def _equal(left: object, right: object) -> None:
    assert left == right
