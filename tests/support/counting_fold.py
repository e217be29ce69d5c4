"""A fold that counts, and knows when it is told something twice, out of order, or by two threads at once."""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count

from ansflow_gateway.domain.events import Event, EventType, Phase, RunKey, RunUpdate, UserActivity
from ansflow_gateway.domain.store import Entry, StateRow

_IDS = count(1)


class CountingFold:
    """Counts events by what they are about; its state is the counts.

    Attributes:
        counts: Events by action or by pipeline.
        position: Position of the last entry.
        applied: Ids of the entries applied by this object, in order; a loaded state says nothing of ids.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.position = 0
        self.applied: list[str] = []
        self._touched: set[str] = set()
        self._one_at_a_time = threading.Lock()

    def load(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Take over saved counts."""
        assert not self.applied, "a state came after entries"
        for key, value in rows:
            self.counts[key] = int(value)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Count entries."""
        assert self._one_at_a_time.acquire(blocking=False), "two threads at once"
        try:
            for entry in entries:
                assert entry.position > self.position, "an entry came twice, or out of order"
                self.position = entry.position
                self.applied.append(entry.event.id)
                key = subject(entry.event)
                self.counts[key] += 1
                self._touched.add(key)
        finally:
            self._one_at_a_time.release()

    def changed(self) -> Sequence[StateRow]:
        """Give the counts that changed, once."""
        touched, self._touched = self._touched, set()
        return [(key, b"%d" % self.counts[key]) for key in sorted(touched)]

    @property
    def unsaved(self) -> bool:
        """Have nothing but what entries brought about."""
        return False

    @property
    def total(self) -> int:
        """Events counted in all."""
        return self.counts.total()


def subject(event: Event) -> str:
    """Tell what an event is counted under: with a NUL, as the real fold's keys have."""
    if isinstance(event.payload, UserActivity):
        return f"action\0{event.payload.action}"
    assert isinstance(event.payload, RunUpdate)
    return f"pipeline\0{event.payload.pipeline}"


def activity(identity: str | None = None, action: str = "login") -> Event:
    """Make an event that only its delivery identifies."""
    return Event(
        "/tests", identity or f"e-{next(_IDS)}", EventType.USER_ACTIVITY, UserActivity(action, "admin"), 1.8e9
    )


def run_started(run_id: str, identity: str | None = None, pipeline: str = "build") -> Event:
    """Make an event that its delivery and its fact identify."""
    return Event(
        "/tests",
        identity or f"e-{next(_IDS)}",
        EventType.PIPELINE_RUN_STARTED,
        RunUpdate(RunKey("ansflow", "shop", run_id), Phase.STARTED, pipeline, "shop"),
        1.8e9,
    )
