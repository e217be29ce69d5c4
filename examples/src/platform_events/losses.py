"""Counts lost events, and logs as much of it as a log can bear."""

import logging
from collections import Counter

from platform_events.token import FILE_VARIABLE, VARIABLE

logger = logging.getLogger(__name__)

_CAUSES = 50
"""Causes that are told apart: a sink chooses their texts, and may choose a new one each time."""


class Losses:
    """What was lost so far; its methods are called under the publisher's lock."""

    def __init__(self) -> None:
        self.total = 0
        self._by_cause: Counter[str] = Counter()
        self._before_lockout: int | None = None

    def add(self, count: int, cause: str, example: str = "") -> None:
        """Count lost events; log a cause's first and then each doubling, an outage must not flood the log.

        Args:
            count: How many.
            cause: Why, in words that are the same each time.
            example: What the log says instead, of one of them.
        """
        self.total += count
        if cause not in self._by_cause and len(self._by_cause) >= _CAUSES:
            cause = "other causes"
        before = self._by_cause[cause]
        self._by_cause[cause] += count
        if self._by_cause[cause].bit_length() > before.bit_length():
            logger.warning("events: %d dropped so far (%s)", self.total, example or cause)

    def locked_out(self, count: int, told: str) -> None:
        """Count events lost because the sink wants other credentials; log that once, until it lets us in.

        Args:
            count: How many.
            told: What the sink said.
        """
        if self._before_lockout is None:
            self._before_lockout = self.total
            logger.error(
                "events: the sink wants another token (%s): set %s or %s; events are dropped until then",
                told,
                VARIABLE,
                FILE_VARIABLE,
            )
        self.total += count

    def let_in(self) -> None:
        """Note that the sink took our credentials; log it where it did not before."""
        if self._before_lockout is not None:
            logger.warning(
                "events: the sink takes the token now; %d dropped meanwhile",
                self.total - self._before_lockout,
            )
            self._before_lockout = None
