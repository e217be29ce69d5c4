"""What is to be looked at when, by key."""

import heapq
from collections.abc import Callable, Iterator


class Deadlines:
    """A queue of keys by the time at which they are due; put again, a key is due at the later time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []

    def put(self, at: float, key: str) -> None:
        """Add a key, to be due at a time in seconds since the epoch."""
        heapq.heappush(self._heap, (at, key))

    def pop_due(self, now: float, due_at: Callable[[str], float | None]) -> Iterator[str]:
        """Take out all keys that are due.

        Args:
            now: Present time, in seconds since the epoch.
            due_at: Gives the time at which a key is due by now, as it may have moved on; None where the key
                isn't there any more.

        Returns:
            The keys that are really due, each once; those that have moved on stay.
        """
        seen: set[str] = set()
        while self._heap and self._heap[0][0] <= now:
            _, key = heapq.heappop(self._heap)
            at = None if key in seen else due_at(key)
            if at is None:
                continue
            seen.add(key)
            if at > now:
                heapq.heappush(self._heap, (at, key))
            else:
                yield key
