"""The one thread that reads the host, so that nobody else waits for it."""

import logging
import threading
import time
from typing import Final, Protocol

from ansflow_gateway.domain.system import SystemSnapshot

_LOG: Final = logging.getLogger(__name__)

PRIME_S: Final = 0.25
"""Time over which the first CPU shares are taken: some ticks of 10 ms on each processor."""

STALE_INTERVALS: Final = 3
"""Age, in intervals, from which a snapshot isn't handed out: a hung network filesystem must show as absent
readings, not as a host that stands still."""


class Reader(Protocol):
    """Reads the host."""

    def read(self, taken_at: float) -> SystemSnapshot:
        """Read everything once, at a monotonic time in seconds."""
        ...


class Sampler:
    """Reads the host at a fixed interval and keeps the latest snapshot.

    Args:
        reader: Does the reading; its construction took the baseline of the CPU's shares.
        interval_s: Time between readings, in seconds.
    """

    def __init__(self, reader: Reader, interval_s: float) -> None:
        self._reader = reader
        self._interval_s = interval_s
        self._stale_after_s = max(STALE_INTERVALS * interval_s, 10.0)
        self._stop = threading.Event()
        self._latest: SystemSnapshot | None = None
        # A daemon: a thread that hangs in a system call must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="ansflow-sampler", daemon=True)

    @property
    def snapshot(self) -> SystemSnapshot | None:
        """The latest snapshot, from any thread; None before the first, and when it is stale."""
        latest = self._latest
        if latest is None or time.monotonic() - latest.taken_at > self._stale_after_s:
            return None
        return latest

    def start(self) -> None:
        """Start the thread; the first snapshot follows after `PRIME_S`."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Stop the thread.

        Args:
            timeout_s: Longest wait for a reading that is under way, in seconds.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        due = time.monotonic() + min(PRIME_S, self._interval_s)
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            now = time.monotonic()
            try:
                self._latest = self._reader.read(now)
            except Exception:  # noqa: BLE001 - the thread must outlive a reader's defect; the snapshot goes stale
                _LOG.exception("reading the host failed")
            # Readings that were missed (a suspended host) are not made up for.
            due = max(due + self._interval_s, now)
