"""What was refused lately, so that a producer's mistake can be seen without its logs."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from ansflow_gateway.domain.rejection import Rejection, bound
from ansflow_gateway.web.status.source import Refusals, Refused

RECENT: Final = 30
"""Refusals that are kept."""


class RecentRejections:
    """A bounded log of refusals, and their number by reason. Any thread may use it.

    Args:
        clock: Present time, in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[Refused] = deque(maxlen=RECENT)
        self._counts: Counter[str] = Counter()

    def note(self, rejection: Rejection, path: str) -> None:
        """Take a refusal in.

        Args:
            rejection: Why something was refused; its texts are kept as they are bounded there.
            path: Path of the request.
        """
        refused = Refused(
            self._clock(),
            rejection.reason.value,
            bound(rejection.field),
            bound(rejection.expected),
            bound(rejection.got),
            bound(path),
        )
        with self._lock:
            self._recent.appendleft(refused)
            self._counts[refused.reason] += 1

    def refusals(self) -> Refusals:
        """Return what was refused since the start."""
        with self._lock:
            return Refusals(tuple(self._counts.most_common()), tuple(self._recent))
