"""What can be set about a store."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

DAY_S: Final = 86_400.0
"""A day, in seconds."""

COMPACTION_SLACK: Final = 100
"""A journal is compacted when it exceeds its size by one in so many: a step is a commit, and not for free."""

COMPACTION_CHECK_S: Final = 10.0
"""Seconds between two looks for entries that have become old."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Settings of a store.

    Args:
        max_waiting: Most events that wait to be committed, of all calls; more is an `OverloadedError`.
        max_group: Events after which a group commit takes no further call; one call is never split.
        retention_s: Age, in seconds, after which an entry leaves the journal, and its identity is forgotten.
        max_events: Most entries kept in the journal. Each costs about 200 bytes of memory for its keys and
            the size of its event on the disk.
        save_s: Most seconds between two saves of the fold's state.
        save_entries: Most entries between two saves: what a restart has to apply again.
        probe_s: Seconds between attempts to get a store working again that can't commit.
        clock: Present time, in seconds since the epoch.
        committed: Is told, on the event loop, of each group that was committed, how long its first event
            waited, in seconds.
    """

    max_waiting: int = 50_000
    max_group: int = 5_000
    retention_s: float = 30 * DAY_S
    max_events: int = 1_000_000
    save_s: float = 10.0
    save_entries: int = 20_000
    probe_s: float = 1.0
    clock: Callable[[], float] = time.time
    committed: Callable[[float], None] = lambda _: None
