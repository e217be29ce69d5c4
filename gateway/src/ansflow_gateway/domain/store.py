"""Where accepted events go: the contracts between receivers, stores and the folding."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from ansflow_gateway.domain.events import Event


class Verdict(StrEnum):
    """What a store did with an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An event as the journal holds it.

    Args:
        position: Its place in the journal: later entries have greater ones; gaps may occur.
        received_at: When it was taken in, in seconds since the epoch.
        event: The event.
    """

    position: int
    received_at: float
    event: Event


StateRow = tuple[str, bytes | None]
"""A key of the folded state and its encoded value; None where the key is gone."""


Settled = Callable[[Sequence[Verdict], Exception | None], None]
"""What is told, once, what became of events: one verdict an event, in their order; or why none was taken, an
`OverloadedError` or a `StoreUnavailableError`. It doesn't raise."""


class Fold(Protocol):
    """Makes all state (meters, runs) out of the journal.

    The same entries in the same order make the same state. One thread at a time calls it, always in the
    journal's order; which thread may change.
    """

    def load(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Take over a saved state, before the first entry."""
        ...

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply entries that are committed; each comes once. It doesn't raise for a valid event."""
        ...

    def changed(self) -> Sequence[StateRow]:
        """Return what has changed since the last call: to be saved in one transaction with the position."""
        ...

    @property
    def unsaved(self) -> bool:
        """Whether something has changed that no entry brought about, and is to be saved without one."""
        ...


class EventStore(Protocol):
    """Keeps a journal of events, each once, and hands each to the fold, once.

    An event is known if its delivery key or its semantic key (`domain.identity`) is. Key and event are one
    row, so that a key is never remembered without its event; the event's effect is made from the journal, so
    that it is never lost or made twice: after a restart the fold's state is what was saved last, and the
    journal's entries after that, applied again.

    `apply` and `submit` are called on one event loop, and tell only after the events are on the disk (SQLite:
    synchronous=FULL; PostgreSQL: synchronous_commit=on) and, where this gateway does the folding, folded.
    Concurrent calls are committed together. Whoever built the store opens it, and closes it after the
    receivers have stopped; `close` commits what waits, saves the fold's state, and gives everything back.
    """

    async def open(self) -> None:
        """Open or create it, load the fold's state and apply the rest of the journal.

        Raises:
            StoreRefusedError: It is corrupt, of something else, of a newer version, or held by another
                gateway.
        """
        ...

    async def apply(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Take events in, in order, each atomically by itself.

        Args:
            events: Valid events; equal identities may occur among them.

        Returns:
            One verdict an event, in the same order.

        Raises:
            OverloadedError: Too many events wait; nothing of these was taken.
            StoreUnavailableError: They can't be committed now; nothing of these was taken.
        """
        ...

    def submit(self, events: Sequence[Event], settled: Settled) -> None:
        """Take events in as `apply` does, without a task that waits: the cheaper way for small requests.

        Args:
            events: Valid events, at least one.
            settled: Is told on the event loop what became of them, never before this returns.

        Raises:
            OverloadedError: Too many events wait; nothing of these was taken, and `settled` isn't called.
            StoreUnavailableError: The store is closed; likewise.
        """
        ...

    @property
    def problem(self) -> str | None:
        """Why nothing can be committed at present; None where all is well."""
        ...

    @property
    def waiting(self) -> int:
        """Events that wait to be committed."""
        ...

    async def close(self) -> None:
        """Commit what waits, save the fold's state, release what the store holds."""
        ...
