"""Tasks of runs: their spans, and the workers that execute them."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ansflow_gateway.domain.events import Phase, TaskUpdate
from ansflow_gateway.domain.traces import SpanFacts
from ansflow_gateway.folding.deadlines import Deadlines
from ansflow_gateway.folding.run_spans import task_span
from ansflow_gateway.folding.runs import key_of
from ansflow_gateway.folding.state import StateMap

MAX_WORKERS: Final = 100_000
"""Most workers remembered at once: hosted runners have a new name each time."""


class TaskState(msgspec.Struct, omit_defaults=True):
    """What is known of a task: of each phase the first update.

    Args:
        seen_at: When something of it came last, in seconds since the epoch.
        queued: What was said when it was queued.
        started: What was said when it started.
        finished: What was said when it ended.
        told: Whether its span was made; the updates are forgotten then.
    """

    seen_at: float
    queued: TaskUpdate | None = None
    started: TaskUpdate | None = None
    finished: TaskUpdate | None = None
    told: bool = False

    @property
    def worker(self) -> str | None:
        """The worker that executes it now; None where it isn't executing, or nobody says by whom."""
        if self.told or self.finished or self.started is None:
            return None
        return self.started.worker


class _Worker(msgspec.Struct):
    seen_at: float


class Tasks:
    """Follows tasks by their updates, in whatever order they come.

    One owner calls it.

    Args:
        keep_s: How long a task is remembered after its last update, in seconds.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._tasks = StateMap("task", TaskState)
        self._workers = StateMap("worker", _Worker)
        self._due = Deadlines()
        self.maps = (self._tasks, self._workers)

    def loaded(self) -> None:
        """Go on with what was loaded into the maps."""
        for key, task in self._tasks.items():
            self._due.put(task.seen_at + self._keep_s, key)

    def apply(self, update: TaskUpdate, told_at: float | None, received_at: float) -> SpanFacts | None:
        """Take an update in.

        Args:
            update: What was said.
            told_at: The event's own time, for updates that don't say when.
            received_at: When it came, in seconds since the epoch.

        Returns:
            The task's span, once it has ended and its start is known.
        """
        key = f"{key_of(update.run)}\0{update.task_id}"
        task = self._tasks.get(key)
        if task is None:
            task = TaskState(received_at)
            self._due.put(received_at + self._keep_s, key)
        task.seen_at = max(task.seen_at, received_at)
        if update.worker and (update.worker in self._workers or len(self._workers) < MAX_WORKERS):
            self._workers.put(update.worker, _Worker(received_at))
        span = None
        if not task.told:
            _learn(task, update, told_at)
            span = _span(task)
            if span:
                task = TaskState(task.seen_at, told=True)
        self._tasks.put(key, task)
        return span

    def expire(self, now: float) -> None:
        """Forget tasks and workers of which nothing came for long.

        Args:
            now: The journal's present time, in seconds since the epoch.
        """

        def due_at(key: str) -> float | None:
            task = self._tasks.get(key)
            return task.seen_at + self._keep_s if task else None

        for key in list(self._due.pop_due(now, due_at)):
            self._tasks.remove(key)
        for name in [n for n, worker in self._workers.items() if worker.seen_at + self._keep_s <= now]:
            self._workers.remove(name)

    def workers(self, since: float) -> Mapping[str, int]:
        """Count the workers by state.

        Args:
            since: A worker that executes nothing is available if it was seen since then.

        Returns:
            Numbers of `busy` and `available` ones.
        """
        busy = {worker for task in self._tasks.values() if (worker := task.worker)}
        idle = sum(
            1 for name, worker in self._workers.items() if name not in busy and worker.seen_at >= since
        )
        return {"busy": len(busy), "available": idle}


def _learn(task: TaskState, update: TaskUpdate, told_at: float | None) -> None:
    match update.phase:
        case Phase.QUEUED:
            task.queued = task.queued or update
        case Phase.STARTED:
            if task.started is None:
                at = update.started_at if update.started_at is not None else told_at
                task.started = msgspec.structs.replace(update, started_at=at)
        case Phase.FINISHED:
            if task.finished is None:
                at = update.finished_at if update.finished_at is not None else told_at
                task.finished = msgspec.structs.replace(update, finished_at=at)


def _span(task: TaskState) -> SpanFacts | None:
    end = task.finished
    if end is None or end.finished_at is None:
        return None
    start = end.started_at
    if start is None and task.started:
        start = task.started.started_at
    if start is None:
        return None
    before = [update for update in (task.started, task.queued) if update]
    whole = msgspec.structs.replace(
        end,
        name=_first(end.name, (update.name for update in before)),
        worker=_first(end.worker, (update.worker for update in before)),
        url=_first(end.url, (update.url for update in before)),
        pipeline=_first(end.pipeline, (update.pipeline for update in before)),
        project=_first(end.project, (update.project for update in before)),
    )
    return task_span(whole, start, end.finished_at)


def _first(value: str | None, others: Iterable[str | None]) -> str | None:
    return value or next((other for other in others if other), None)
