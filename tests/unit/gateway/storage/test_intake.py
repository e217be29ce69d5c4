"""How calls become groups: who waits for whom, and that nobody is forgotten."""

import asyncio
from collections.abc import Sequence

import pytest
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.errors import StoreUnavailableError
from ansflow_gateway.storage.intake import LINGER_S, Group, Intake
from ansflow_gateway.storage.options import StoreOptions
from support.counting_fold import activity


class Desk:
    """An intake whose groups are kept until the test answers them."""

    def __init__(self, **options: int) -> None:
        self.groups: list[Group] = []
        self.told: list[tuple[str, Sequence[Verdict] | None, Exception | None]] = []
        self.intake = Intake(StoreOptions(**options), self.groups.append)  # type: ignore[arg-type]
        self.intake.open()

    def submit(self, name: str, events: int = 1) -> None:
        """Submit a call by a name."""
        self.intake.submit(
            [activity(f"{name}-{number}") for number in range(events)],
            lambda verdicts, error: self.told.append((name, verdicts, error)),
        )

    def answer(self, error: Exception | None = None) -> None:
        """Answer the oldest group."""
        group = self.groups.pop(0)
        for call in group:
            call.verdicts = [Verdict.ACCEPTED] * len(call.records)
        self.intake.answer(group, error)

    @property
    def sizes(self) -> list[int]:
        """Calls of each group that isn't answered."""
        return [len(group) for group in self.groups]


async def test_a_single_sender_waits_for_nobody() -> None:
    """Each of its calls is with the writer before `submit` returns."""
    desk = Desk()
    for _ in range(3):
        desk.submit("a")
        assert desk.sizes == [1]
        desk.answer()
    assert len(desk.told) == 3
    assert desk.intake.waiting == 0


async def test_senders_who_come_back_share_a_commit() -> None:
    """What came during a commit waits for those whom it answered, no longer than until they are there."""
    desk = Desk()
    for name in "abcd":
        desk.submit(name)
    assert desk.sizes == [1]
    desk.answer()
    assert desk.sizes == [], "three wait, and the fourth comes back"
    desk.submit("a")
    assert desk.sizes == [4]
    desk.answer()
    for name in "abcd":
        assert desk.sizes == []
        desk.submit(name)
    assert desk.sizes == [4]
    assert desk.intake.waiting == 4


async def test_who_does_not_come_back_is_not_waited_for_long() -> None:
    """A group goes to the writer after `LINGER_S`, and the next one expects as few."""
    desk = Desk()
    for name in "abc":
        desk.submit(name)
    desk.answer()
    await asyncio.sleep(LINGER_S * 20)
    assert desk.sizes == [2]
    desk.answer()
    desk.submit("b")
    assert desk.sizes == []
    await asyncio.sleep(LINGER_S * 20)
    assert desk.sizes == [1]
    desk.answer()
    desk.submit("b")
    assert desk.sizes == [1]


async def test_a_group_has_a_limit_and_calls_stay_whole() -> None:
    """What exceeds it goes with the next group."""
    desk = Desk(max_group=10)
    desk.submit("first")
    for name in "abc":
        desk.submit(name, 6)
    desk.answer()
    assert desk.sizes == [2], "a full one waits for nobody"
    desk.answer()
    await asyncio.sleep(LINGER_S * 20)
    assert desk.sizes == [1]
    desk.answer()
    assert [name for name, _, _ in desk.told] == ["first", "a", "b", "c"]


async def test_the_end_hands_over_all_that_waits() -> None:
    """Groups that were still to wait go to the writer; nothing is taken after."""
    desk = Desk(max_group=2)
    for name in "abcd":
        desk.submit(name)
    desk.intake.close()
    assert desk.sizes == [1, 2, 1]
    with pytest.raises(StoreUnavailableError, match="the store is closed"):
        desk.submit("late")
    for _ in range(3):
        desk.answer()
    await asyncio.sleep(LINGER_S * 20)
    assert (desk.sizes, desk.intake.waiting) == ([], 0)
    assert [name for name, _, _ in desk.told] == ["a", "b", "c", "d"]


async def test_a_caller_that_fails_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    """The others hear of theirs, and the intake goes on."""
    desk = Desk()
    desk.submit("a")
    events: list[Event] = [activity("broken")]
    desk.intake.submit(events, lambda *_: 1 / 0)  # type: ignore[arg-type]
    desk.submit("b")
    desk.answer()
    desk.submit("a")
    error = StoreUnavailableError("no space")
    desk.answer(error)
    assert desk.told[1:] == [("b", [Verdict.ACCEPTED], error), ("a", [Verdict.ACCEPTED], error)]
    assert any(record.exc_info for record in caplog.records)
    desk.submit("c")
    await asyncio.sleep(LINGER_S * 20)
    assert desk.sizes == [1]
