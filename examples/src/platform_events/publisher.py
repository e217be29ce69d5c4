"""A bounded queue of events and the one thread that empties it."""

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from platform_events.answers import Outcome, Refusal, Verdict
from platform_events.events import Event, cloud_event
from platform_events.losses import Losses
from platform_events.sink import HttpSink

logger = logging.getLogger(__name__)

_publishers: "weakref.WeakSet[EventPublisher]" = weakref.WeakSet()


class Sink(Protocol):
    """Where batches go."""

    def send(self, batch: list[dict[str, object]]) -> Outcome:
        """Send a batch and say what became of it; never raise."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the events so far.

    Args:
        published: Events taken into the queue.
        delivered: Events that the sink took.
        dropped: Events lost: the queue was full, the sink refused them (alone or with their batch), or they
            could not be sent in time.
        waiting: Events in the queue or on their way.
    """

    published: int
    delivered: int
    dropped: int
    waiting: int


class EventPublisher:
    """Takes events at once and delivers them in batches, in the background.

    `publish` never blocks and never raises. The thread starts with the first event of each process, so a
    publisher made before a fork works in every child: a child starts with an empty queue, and what waited in
    the parent is the parent's to deliver.

    Args:
        sink: Where to deliver; `None` publishes nothing.
        source: The CloudEvents `source` of this service.
        capacity: How many events wait at most; beyond it the newest are dropped.
        batch_size: How many events go in one request at most.
        first_backoff_s: The pause after a first failed attempt; doubled up to `max_backoff_s`.
        max_backoff_s: The longest pause.
        max_attempts: How often a batch is tried before it is dropped.
        exit_deadline_s: How long the flush at the interpreter's exit may take.
    """

    _thread: threading.Thread | None
    _published: int
    _in_flight: int

    def __init__(
        self,
        sink: Sink | None,
        *,
        source: str,
        capacity: int = 2000,
        batch_size: int = 50,
        first_backoff_s: float = 0.2,
        max_backoff_s: float = 10.0,
        max_attempts: int = 8,
        exit_deadline_s: float = 3.0,
    ) -> None:
        self._sink = sink
        self._source = source
        self._capacity = capacity
        self._batch_size = batch_size
        self._first_backoff_s = first_backoff_s
        self._max_backoff_s = max_backoff_s
        self._max_attempts = max_attempts
        self._exit_deadline_s = exit_deadline_s
        self._reset()
        _publishers.add(self)

    @classmethod
    def to_url(cls, url: str | None, *, source: str, token: str | None = None) -> "EventPublisher":
        """Return a publisher to an HTTP address, or one that publishes nothing where there is none.

        Args:
            url: The sink's address; `None` or empty for none.
            source: The CloudEvents `source` of this service.
            token: The bearer token that the sink asks for; `None` for none.

        Returns:
            The publisher; its thread is not started yet.

        Raises:
            ValueError: The URL is not an http(s) address, or the token can't stand in a header.
        """
        return cls(HttpSink(url, token=token) if url else None, source=source)

    @property
    def counts(self) -> Counts:
        """What became of the events so far, in this process."""
        with self._changed:
            waiting = len(self._queue) + self._in_flight
            return Counts(self._published, self._delivered, self._losses.total, waiting)

    def publish(self, event: Event) -> bool:
        """Take an event for delivery.

        Args:
            event: What happened.

        Returns:
            Whether it was taken; false where there is no sink, the queue is full, or the publisher is closed.
        """
        if self._sink is None:
            return False
        envelope = cloud_event(event, source=self._source)
        with self._changed:
            if self._closing or len(self._queue) >= self._capacity:
                self._losses.add(1, "publisher is closed" if self._closing else "queue is full")
                return False
            self._published += 1
            self._queue.append(envelope)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._deliver, args=(self._sink,), name="platform-events", daemon=True
                )
                self._thread.start()
                atexit.register(_close_at_exit, weakref.ref(self), os.getpid())
            self._changed.notify_all()
        return True

    def flush(self, deadline_s: float) -> bool:
        """Wait until everything published so far is delivered or dropped.

        Args:
            deadline_s: How long to wait, in seconds.

        Returns:
            Whether nothing waits any more.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._in_flight, deadline_s)

    def close(self, deadline_s: float | None = None) -> bool:
        """Stop taking events, deliver what waits, end the thread; what is left at the deadline is dropped.

        Args:
            deadline_s: How long that may take, in seconds; `exit_deadline_s` where it is not given.

        Returns:
            Whether everything was delivered.
        """
        end = time.monotonic() + (self._exit_deadline_s if deadline_s is None else deadline_s)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(max(0.0, end - time.monotonic()))
        with self._changed:
            self._abandoned = True
            left = len(self._queue) + self._in_flight
            if left:
                self._losses.add(left, "no time left at exit")
                self._queue.clear()
                self._in_flight = 0
            self._changed.notify_all()
        return not left

    def _reset(self) -> None:
        """Start empty, as a new process does: locks and threads of a parent are of no use in a child."""
        self._changed = threading.Condition()
        self._queue: deque[dict[str, object]] = deque()
        self._thread = None
        self._in_flight = 0
        self._published = 0
        self._delivered = 0
        self._losses = Losses()
        self._closing = False
        self._abandoned = False

    def _deliver(self, sink: Sink) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                batch = [self._queue.popleft() for _ in range(min(self._batch_size, len(self._queue)))]
                self._in_flight = len(batch)
            outcome = self._attempt(sink, batch)
            with self._changed:
                if self._abandoned:
                    return
                self._in_flight = 0
                self._settle(batch, outcome)
                self._changed.notify_all()

    def _settle(self, batch: list[dict[str, object]], outcome: Outcome) -> None:
        """Count a batch whose fate is known: delivered or dropped, each event once."""
        if outcome.verdict is Verdict.UNAUTHORIZED:
            self._losses.locked_out(len(batch), outcome.told)
            return
        if outcome.verdict is not Verdict.TRY_LATER:
            self._losses.let_in()
        alike: dict[str, list[Refusal]] = {}
        for refusal in outcome.refusals:
            alike.setdefault(f"{batch[refusal.index]['type']} refused: {refusal.cause}", []).append(refusal)
        for cause, refusals in alike.items():
            self._losses.add(len(refusals), cause, f"{cause}: {refusals[0].detail}")
        others = len(batch) - len(outcome.refusals)
        if outcome.verdict is Verdict.TAKEN:
            self._delivered += others
        elif others:
            self._losses.add(others, outcome.reason, outcome.told)

    def _attempt(self, sink: Sink, batch: list[dict[str, object]]) -> Outcome:
        """Send a batch until the sink has decided, patience ends, or the process has no time left."""
        backoff_s = self._first_backoff_s
        for attempt in range(1, self._max_attempts + 1):
            outcome = sink.send(batch)
            if outcome.verdict is not Verdict.TRY_LATER or attempt == self._max_attempts:
                break
            if attempt == 1:
                logger.warning("events: sink does not take events now (%s); trying again", outcome.told)
            with self._changed:
                if self._changed.wait_for(lambda: self._abandoned, backoff_s):
                    break
            backoff_s = min(backoff_s * 2, self._max_backoff_s)
        return outcome


def _close_at_exit(reference: "weakref.ref[EventPublisher]", pid: int) -> None:
    publisher = reference()
    if publisher is not None and os.getpid() == pid:
        publisher.close()


def _reset_after_fork() -> None:
    for publisher in list(_publishers):
        publisher._reset()


os.register_at_fork(after_in_child=_reset_after_fork)
