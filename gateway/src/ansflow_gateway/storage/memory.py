"""A store that lives in memory: what it counted and what it knows end with the process."""

from collections import deque
from collections.abc import Callable, Sequence
from hashlib import blake2b

from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Verdict


class MemoryEventStore:
    """Applies each event once, as far back as a bounded window of identities reaches.

    The oldest identity leaves when a new one comes to a full window. A duplicate that comes later than that
    is counted again: only a durable store can know better.

    Args:
        fold: Applies an event's effect; it neither awaits nor fails half-way.
        capacity: Most identities remembered. Each takes about 150 bytes.
    """

    def __init__(self, fold: Callable[[Event], None], capacity: int) -> None:
        self._fold = fold
        self._capacity = capacity
        self._known: set[bytes] = set()
        # A dict keeps the order too, but steps over all that left it to find its oldest.
        self._arrivals: deque[bytes] = deque()

    async def apply(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Apply events in order; see `EventStore.apply`."""
        # No await from here on: the event loop makes each event's key and effect one step.
        return [self._apply(event) for event in events]

    async def close(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._arrivals.clear()

    def _apply(self, event: Event) -> Verdict:
        # Validation refuses control characters, so NUL can't occur in either part.
        key = blake2b(f"{event.source}\0{event.id}".encode(), digest_size=16).digest()
        if key in self._known:
            return Verdict.DUPLICATE
        self._fold(event)  # before the key: an effect that fails must not be remembered as done
        if len(self._known) >= self._capacity:
            self._known.remove(self._arrivals.popleft())
        self._known.add(key)
        self._arrivals.append(key)
        return Verdict.ACCEPTED
