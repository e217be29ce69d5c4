"""How exporting goes, said so that a Collector that is gone fills no log."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

REMIND_AFTER_S: Final = 300.0
"""Time between two log lines about one outage, in seconds."""


@dataclass(frozen=True, slots=True)
class PushState:
    """How pushing goes.

    Args:
        failures: Pushes that failed since the last that succeeded.
        problem: What the exporter last said about it; None while it goes well.
        under_way: Whether a push is being made.
    """

    failures: int = 0
    problem: str | None = None
    under_way: bool = False


class Withheld(logging.Filter):
    """Keeps a logger's records from the log and remembers the latest distinct texts.

    It stays for good: a push that is cut short at the end still speaks after the shutdown.
    One for each logger and process; `addFilter` adds it once.

    Args:
        logger: Name of the logger.
    """

    def __init__(self, logger: str) -> None:
        super().__init__()
        self._logger = logging.getLogger(logger)
        self.messages: deque[str] = deque(maxlen=2)

    def begin(self) -> None:
        """Forget what was said, and listen from now on."""
        self.messages.clear()
        self._logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Remember the record, and withhold it."""
        self.messages.append(record.getMessage()[:300])
        return False


class Outage:
    """Follows the pushes of one exporter, and logs the start of an outage, a reminder now and then, its end.

    Args:
        logger: Where it is logged.
        said: What the exporter's library says.
        endpoint: Where the exporter pushes to.
        texts: What is logged when pushes fail, and when they succeed again.
        clock: Monotonic time, in seconds.
    """

    def __init__(
        self,
        logger: logging.Logger,
        said: Withheld,
        endpoint: str,
        texts: tuple[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._said = said
        self._endpoint = endpoint
        self._failing, self._recovered = texts
        self._clock = clock
        self._reminded_at = 0.0
        self.state = PushState()
        self.failed = 0
        """Pushes that failed since the start."""

    def begin(self) -> None:
        """Note that a push begins."""
        self._said.begin()
        self.state = replace(self.state, under_way=True)

    def end(self, *, succeeded: bool) -> None:
        """Note how a push ended.

        Args:
            succeeded: Whether the Collector has taken it.
        """
        before = self.state.failures
        if succeeded:
            self.state = PushState()
            if before:
                self._logger.info(self._recovered, extra={"failed_pushes": before})
            return
        self.failed += 1
        said = "; ".join(self._said.messages) or "no explanation"
        self.state = PushState(before + 1, f"{self._endpoint}: {said}")
        now = self._clock()
        if not before or now - self._reminded_at >= REMIND_AFTER_S:
            self._reminded_at = now
            self._logger.warning(
                self._failing, extra={"failed_pushes": self.state.failures, "problem": self.state.problem}
            )
