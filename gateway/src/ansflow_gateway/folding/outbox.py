"""Spans of runs and tasks on their way to a Collector: kept until it has taken them, also over a restart."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from ansflow_gateway.domain.traces import SpanFacts
from ansflow_gateway.folding.state import StateMap

CAPACITY: Final = 20_000
"""Most spans that wait: minutes of a busy platform, about 20 MB. The oldest are given up for newer ones."""


class Outbox:
    """Keeps spans until they are exported. A span may be exported twice, under the same ids.

    One owner calls it.
    """

    def __init__(self) -> None:
        self.map = StateMap("span", SpanFacts)
        # A dict keeps the order too, but steps over all that left it to find its oldest.
        self._arrivals: deque[str] = deque()

    def loaded(self) -> None:
        """Go on with what was loaded into the map."""
        self._arrivals.extend(key for key, _ in self.map.items())

    def put(self, span: SpanFacts) -> int:
        """Add a span.

        Args:
            span: The span; one with its ids replaces it.

        Returns:
            Number of spans that were given up for it: 0 or 1.
        """
        key = f"{span.trace_id.hex()}{span.span_id.hex()}"
        if key in self.map:
            self.map.put(key, span)
            return 0
        self._arrivals.append(key)
        self.map.put(key, span)
        if len(self.map) <= CAPACITY:
            return 0
        while self.map.remove(self._arrivals.popleft()) is None:
            pass  # exported long ago
        return 1

    def due(self, most: int) -> Sequence[tuple[str, SpanFacts]]:
        """Return the oldest spans, with the keys to be given to `exported`."""
        return list(islice(self.map.items(), most))

    def exported(self, keys: Sequence[str]) -> None:
        """Forget spans that a Collector has taken."""
        for key in keys:
            self.map.remove(key)
        while self._arrivals and self._arrivals[0] not in self.map:
            self._arrivals.popleft()
