"""The book that the journal is entered into: all folded state, and what others read of it."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from ansflow_gateway.domain.active_projects import ActiveProjects
from ansflow_gateway.domain.events import (
    ArtifactMade,
    ChangeMerged,
    Deployed,
    Event,
    EventType,
    IncidentUpdate,
    IntegrationCall,
    Phase,
    ProjectUsage,
    RunAbandoned,
    RunUpdate,
    TaskUpdate,
    UserActivity,
    WebSocketActivity,
)
from ansflow_gateway.domain.store import Entry, StateRow
from ansflow_gateway.domain.traces import SpanFacts
from ansflow_gateway.folding import activities
from ansflow_gateway.folding.dora import Dora
from ansflow_gateway.folding.dora_figures import DoraFigures
from ansflow_gateway.folding.dora_gauges import DoraGauges, show, turned_away
from ansflow_gateway.folding.outbox import Outbox
from ansflow_gateway.folding.pipelines import Pipelines, RecentRun
from ansflow_gateway.folding.projects import Projects
from ansflow_gateway.folding.state import StateMap
from ansflow_gateway.folding.tasks import Tasks
from ansflow_gateway.meters import business as b
from ansflow_gateway.meters import table as tables
from ansflow_gateway.meters.table import Table

SLICE: Final = 256
"""Entries that are applied while the table is held: some milliseconds, for which readers wait at most."""


@dataclass(frozen=True, slots=True)
class BookOptions:
    """How things are folded. Times are in seconds.

    Args:
        series_limit: Label sets that producers may bring about in one meter.
        run_deadline: After its last update, when a run's end is given up.
        start_deadline: After its end, when the start or the names of a run are given up.
        active_window: How long a project is active after a finished run.
        gauge_ttl: How long a gauge stays that isn't set.
        traced: Whether spans of runs are wanted.
    """

    series_limit: int = 1000
    run_deadline: float = 86_400.0
    start_deadline: float = 60.0
    active_window: float = 3600.0
    gauge_ttl: float = 3600.0
    traced: bool = True


class _Beginning(msgspec.Struct):
    at: float


class _Kept(msgspec.Struct):
    data: bytes


class Book:
    """Folds the journal; see `domain.store.Fold`.

    What changes it holds the table's lock; so do the methods that any thread may call.

    Args:
        options: How things are folded.
        clock: Present time, in seconds since the epoch.
    """

    def __init__(self, options: BookOptions, clock: Callable[[], float] = time.time) -> None:
        self.table = Table(b.METERS, options.series_limit)
        self.noticed: Callable[[], None] = _nothing
        """Called, from any thread, after the table may have changed; whoever exports it sets it."""
        self.unsaved = False
        """See `Fold.unsaved`."""
        self._options = options
        self._clock = clock
        self._start()

    def _start(self) -> None:
        """Begin with nothing: a gateway that comes to lead again has an older state than the store."""
        options = self._options
        self.table.clear()
        self._now = 0.0
        self._overflowed: dict[str, int] = {}
        self._pipelines = Pipelines(
            self.table, options.run_deadline, options.start_deadline, traced=options.traced
        )
        self._tasks = Tasks(options.run_deadline)
        self._projects = Projects(ActiveProjects(options.active_window, self._clock))
        self._dora = Dora(options.series_limit, partial(turned_away, self.table))
        self._dora_gauges = DoraGauges(self.table, options.gauge_ttl / 4)
        self._outbox = Outbox()
        self._beginning = StateMap("beginning", _Beginning)
        self._kept = StateMap("kept", _Kept)
        maps: tuple[StateMap[Any], ...] = (
            *self._pipelines.maps,
            *self._tasks.maps,
            *self._projects.maps,
            *self._dora.maps,
            self._outbox.map,
            self._beginning,
            self._kept,
        )
        self._maps = {each.prefix: each for each in maps}

    @property
    def began_at(self) -> float:
        """When counting began, in seconds since the epoch: the start time of all sums; a restart keeps it."""
        beginning = self._beginning.get("")
        return beginning.at if beginning else self._clock()

    # The fold: the store's thread.

    def load(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Take over a saved state, in place of the present one; see `Fold.load`."""
        with self.table.lock:
            self._start()
            for row, encoded in rows:
                prefix, _, key = row.partition("\0")
                if prefix == tables.PREFIX:
                    self.table.load(key, encoded)
                elif prefix in self._maps:
                    self._maps[prefix].load(key, encoded)
            if self._beginning.get("") is None:
                self._beginning.put("", _Beginning(self._clock()))
            for part in (self._pipelines, self._tasks, self._projects, self._dora, self._outbox):
                part.loaded()

    def apply(self, entries: Sequence[Entry]) -> None:
        """Enter committed events; see `Fold.apply`."""
        for first in range(0, len(entries), SLICE):
            with self.table.lock:
                for entry in entries[first : first + SLICE]:
                    self._apply(entry.event, entry.received_at)
                self._pipelines.expire(self._now)
                self._tasks.expire(self._now)
                self._dora.expire(self._now)
                self._count_overflow()
        self.noticed()

    def changed(self) -> Sequence[StateRow]:
        """Return what is to be saved; see `Fold.changed`."""
        with self.table.lock:
            self.unsaved = False
            self._pipelines.save_recent()
            rows: list[StateRow] = list(self.table.changed())
            for each in self._maps.values():
                rows.extend(each.changed())
        return rows

    # For others: any thread.

    def tick(self) -> None:
        """Bring up to date what changes with time alone: projects, workers, DORA, gauges not set for long."""
        now = self._clock()
        again_s = self._options.gauge_ttl / 4
        with self.table.lock:
            show(self.table, b.ACTIVE_PROJECTS, (), self._projects.count(), now, again_s)
            for state, count in self._tasks.workers(now - self._options.gauge_ttl).items():
                if count or self.table.value(b.WORKERS, (state,)) is not None:
                    show(self.table, b.WORKERS, (state,), count, now, again_s)
            gauges, figures = self._dora_gauges, self._dora.figures(now)
            self.table.expire(now - self._options.gauge_ttl)
        for step in gauges.steps(figures, now):
            with self.table.lock:
                if gauges is not self._dora_gauges:
                    return  # another state was loaded meanwhile
                step()
        self.noticed()

    def overdue(self) -> Sequence[Event]:
        """Return the events that give up what runs lack, to be stored; `again` takes back what wasn't."""
        with self.table.lock:
            given_up = list(self._pipelines.overdue(self._clock()))
        return [_event(abandoned) for abandoned in given_up]

    def again(self, events: Sequence[Event]) -> None:
        """Have events of `overdue` given once more, as they couldn't be stored."""
        with self.table.lock:
            for event in events:
                if isinstance(event.payload, RunAbandoned):
                    self._pipelines.again(event.payload)

    def recent_runs(self) -> Sequence[RecentRun]:
        """Return the runs that ended lately, the last first."""
        with self.table.lock:
            return self._pipelines.recent()

    def dora(self) -> Sequence[DoraFigures]:
        """Return the DORA figures of all projects, environments and windows."""
        with self.table.lock:
            return self._dora.figures(self._clock())

    def due(self, most: int) -> Sequence[tuple[str, SpanFacts]]:
        """Return spans to be exported, the oldest first."""
        with self.table.lock:
            return self._outbox.due(most)

    def exported(self, keys: Sequence[str]) -> None:
        """Forget spans that were exported."""
        with self.table.lock:
            self._outbox.exported(keys)

    def keep(self, name: str, data: bytes) -> None:
        """Keep something of another part's over restarts; it is saved soon, whether events come or not."""
        with self.table.lock:
            self._kept.put(name, _Kept(data))
            self.unsaved = True

    def kept(self, name: str) -> bytes | None:
        """Return what was kept under a name."""
        with self.table.lock:
            kept = self._kept.get(name)
            return kept.data if kept else None

    def _apply(self, event: Event, received_at: float) -> None:
        self._now = max(self._now, received_at)
        span: SpanFacts | None = None
        match event.payload:
            case UserActivity() | IntegrationCall() | ProjectUsage() | WebSocketActivity() as activity:
                activities.count(self.table, activity, received_at)
            case RunUpdate() as update:
                span = self._pipelines.apply(update, event.time, received_at)
                if update.phase is Phase.FINISHED and update.project:
                    self._projects.seen(update.project, update.finished_at or event.time or received_at)
            case TaskUpdate() as task:
                span = self._tasks.apply(task, event.time, received_at)
            case RunAbandoned() as abandoned:
                span = self._pipelines.abandon(abandoned, received_at)
            case ChangeMerged() | ArtifactMade() | Deployed() | IncidentUpdate() as fact:
                self._dora.apply(fact, received_at)
                if isinstance(fact, Deployed):
                    labels = (fact.project, fact.environment, fact.kind.value)
                    self.table.add(b.DEPLOYMENTS, labels, 1, received_at)
        if span and self._options.traced and (dropped := self._outbox.put(span)):
            self.table.add(b.SPANS_DROPPED, (), dropped, received_at)

    def _count_overflow(self) -> None:
        for name, offenders in self.table.overflowed.items():
            if fresh := offenders.total - self._overflowed.get(name, 0):
                self.table.add(b.OVERFLOWED, (name,), fresh, self._now)
                self._overflowed[name] = offenders.total


def _nothing() -> None:
    pass


def _event(abandoned: RunAbandoned) -> Event:
    run = abandoned.run
    identity = "/".join((run.system, run.scope, run.run_id, str(run.attempt), abandoned.missing))
    return Event("ansflow-gateway", identity, EventType.GATEWAY, abandoned)
