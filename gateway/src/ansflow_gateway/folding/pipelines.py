"""Runs of pipelines: from updates in any order to meters, spans, and a list of the latest."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ansflow_gateway.domain.events import RunAbandoned, RunUpdate
from ansflow_gateway.domain.traces import SpanFacts
from ansflow_gateway.folding.deadlines import Deadlines
from ansflow_gateway.folding.run_spans import run_span
from ansflow_gateway.folding.runs import UNKNOWN, RunState, key_of
from ansflow_gateway.folding.state import StateMap
from ansflow_gateway.meters import business as b
from ansflow_gateway.meters.table import Table

DEFAULT_TYPE: Final = "pipeline"

RECENT: Final = 50
"""Runs in the list of the latest."""


class RecentRun(msgspec.Struct, frozen=True):
    """A run that ended lately.

    Args:
        project: Its project.
        pipeline: Its pipeline.
        result: How it ended.
        finished_at: When, in seconds since the epoch.
        duration_s: Time that it executed, in seconds, where it is known.
        url: Where a person can look at it.
        trace_id: Its trace, in hexadecimal digits.
    """

    project: str
    pipeline: str
    result: str
    finished_at: float
    duration_s: float | None
    url: str | None
    trace_id: str


class _Recent(msgspec.Struct):
    runs: list[RecentRun]


class Pipelines:
    """Folds the updates of runs into the table.

    One owner calls it, holding the table's lock.

    Args:
        table: Where it is recorded.
        run_deadline_s: Time after its last update at which a run's end is given up; a run that was counted is
            remembered as long, for what comes late.
        start_deadline_s: Time after its end at which the start of a run, or its names, are given up.
        traced: Whether spans are wanted.
    """

    def __init__(self, table: Table, run_deadline_s: float, start_deadline_s: float, *, traced: bool) -> None:
        self._table = table
        self._run_deadline_s = run_deadline_s
        self._start_deadline_s = start_deadline_s
        self._traced = traced
        self._runs = StateMap("run", RunState)
        self._recent_row = StateMap("recent", _Recent)
        self._recent: deque[RecentRun] = deque(maxlen=RECENT)
        self._forget = Deadlines()
        self._overdue = Deadlines()
        self.maps = (self._runs, self._recent_row)

    def loaded(self) -> None:
        """Go on with what was loaded into the maps."""
        for key, state in self._runs.items():
            self._schedule(key, state)
        if saved := self._recent_row.get(""):
            self._recent.extend(saved.runs)

    def recent(self) -> Sequence[RecentRun]:
        """Return the latest runs, the last to end first."""
        return tuple(reversed(self._recent))

    def save_recent(self) -> None:
        """Have the list of the latest saved, if it changed."""
        saved = self._recent_row.get("")
        if saved is None or saved.runs != list(self._recent):
            self._recent_row.put("", _Recent(list(self._recent)))

    def apply(self, update: RunUpdate, told_at: float | None, received_at: float) -> SpanFacts | None:
        """Take an update in.

        Args:
            update: What was said.
            told_at: The event's own time, for updates that don't say when.
            received_at: When it came, in seconds since the epoch.

        Returns:
            The run's span, once it was counted.
        """
        key = key_of(update.run)
        state = self._runs.get(key)
        if state is None:
            state = RunState(update.run, received_at)
        state.seen_at = max(state.seen_at, received_at)
        state.learn(update, told_at)
        span = self._settle(state, received_at)
        self._runs.put(key, state)
        self._schedule(key, state)
        return span

    def abandon(self, abandoned: RunAbandoned, received_at: float) -> SpanFacts | None:
        """Give up what is missing of a run.

        Args:
            abandoned: Which run, and what.
            received_at: When it was given up.

        Returns:
            The run's span, if it could be counted now.
        """
        key = key_of(abandoned.run)
        state = self._runs.get(key)
        if state is None or abandoned.missing in state.gave_up:
            return None
        state.gave_up |= {abandoned.missing}
        state.seen_at = max(state.seen_at, received_at)  # what comes all the same is waited for as long again
        self._table.add(b.RUNS_INCOMPLETE, (state.run.system, abandoned.missing), 1, received_at)
        span = self._settle(state, received_at)
        self._runs.touch(key)
        return span

    def overdue(self, now: float) -> Iterator[RunAbandoned]:
        """Tell of what of which runs is to be given up; a run is told once, unless `again` is called.

        Args:
            now: Present time, in seconds since the epoch.
        """

        def due_at(key: str) -> float | None:
            state = self._runs.get(key)
            return None if state is None else self._overdue_at(state)

        for key in list(self._overdue.pop_due(now, due_at)):
            state = self._runs.get(key)
            if state:
                yield RunAbandoned(state.run, "start" if state.finished else "end")

    def again(self, abandoned: RunAbandoned) -> None:
        """Tell of a run once more with the next call of `overdue`, as it couldn't be stored."""
        self._overdue.put(0.0, key_of(abandoned.run))

    def expire(self, now: float) -> None:
        """Forget runs that were counted or given up, and of which nothing came for long.

        Args:
            now: The journal's present time, in seconds since the epoch.
        """

        def due_at(key: str) -> float | None:
            state = self._runs.get(key)
            return None if state is None else state.seen_at + self._run_deadline_s

        for key in list(self._forget.pop_due(now, due_at)):
            state = self._runs.get(key)
            if state and (state.counted or state.gave_up):
                self._runs.remove(key)
            elif state:
                # Its end is given up by an event; then this one is looked at again.
                self._forget.put(now + self._run_deadline_s, key)

    def _schedule(self, key: str, state: RunState) -> None:
        self._forget.put(state.seen_at + self._run_deadline_s, key)
        at = self._overdue_at(state)
        if at is not None:
            self._overdue.put(at, key)

    def _overdue_at(self, state: RunState) -> float | None:
        if state.counted:
            return None
        if state.finished:
            return None if "start" in state.gave_up else state.seen_at + self._start_deadline_s
        return None if "end" in state.gave_up else state.seen_at + self._run_deadline_s

    def _settle(self, state: RunState, at: float) -> SpanFacts | None:
        span = None
        if state.complete:
            span = self._count(state, at)
        if state.counted:
            if not state.waited:
                self._count_waiting(state, at)
            state.forget()
        self._count_active(state, at)
        return span

    def _count(self, state: RunState, at: float) -> SpanFacts | None:
        result = state.result
        error = (state.error_type or b.UNKNOWN_ERROR) if result.failed else ""
        pipeline_type = (state.finished.pipeline_type if state.finished else None) or DEFAULT_TYPE
        project, pipeline = state.project or UNKNOWN, state.pipeline or UNKNOWN
        labels = (project, pipeline, pipeline_type, result.value, error)
        span = run_span(state, labels, at)
        duration = state.executed_s
        self._table.record(
            b.RUN_DURATION,
            (project, pipeline, pipeline_type, b.EXECUTING, result.value, error),
            # Where nobody said when it began: from the earliest time that is known.
            span.end - span.start if duration is None else duration,
            at,
            (span.trace_id, span.span_id) if self._traced else None,
        )
        if error:
            self._table.add(b.RUN_ERRORS, (pipeline, error), 1, at)
        if result.value == "error":
            self._table.add(b.SYSTEM_ERRORS, (state.run.system, error), 1, at)
        self._recent.append(
            RecentRun(
                project, pipeline, result.value, span.end, duration, state.say("url"), span.trace_id.hex()
            )
        )
        state.counted = labels
        return span if self._traced else None

    def _count_waiting(self, state: RunState, at: float) -> None:
        labels = state.counted
        began, queued = state.started_at, state.queued_at
        if labels and began is not None and queued is not None:
            project, pipeline, pipeline_type, result, error = labels
            self._table.record(
                b.RUN_DURATION,
                (project, pipeline, pipeline_type, b.PENDING, result, error),
                max(0.0, began - queued),
                at,
            )
            state.waited = True

    def _count_active(self, state: RunState, at: float) -> None:
        now = state.state
        active = (state.pipeline or UNKNOWN, now) if now else None
        if active == state.active_in:
            return
        if state.active_as:
            self._table.adjust(b.RUN_ACTIVE, state.active_as, -1, at)
        # Where it is really counted, which may be the overflow: from there it has to be taken.
        state.active_as = self._table.adjust(b.RUN_ACTIVE, active, 1, at) if active else None
        state.active_in = active
