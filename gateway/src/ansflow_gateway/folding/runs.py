"""One run, and what is known of it: a set of updates, of each phase one, in whatever order they came.

All that a run contributes is a function of that set, never of the order: the latest phase that says a thing
is believed, and a run is counted once all is known that its labels and its duration need. What doesn't come
is given up after a deadline; that is an event of its own in the journal, so that it is the same again after
a restart.
"""

from typing import Final

import msgspec

from ansflow_gateway.domain import cdevents
from ansflow_gateway.domain.events import Phase, RunKey, RunResult, RunUpdate

UNKNOWN = "unknown"
"""Label of a run whose sender never said its pipeline or its project."""

_WITHOUT_PROJECT: Final = frozenset({cdevents.SYSTEM})
"""Systems whose runs never say a project: none is waited for."""


class RunState(msgspec.Struct, omit_defaults=True):
    """What is known of a run that may still change.

    Args:
        run: Which run.
        seen_at: When something of it came last, in seconds since the epoch.
        queued: What was said when it was queued.
        started: What was said when it started.
        finished: What was said when it ended.
        gave_up: What isn't waited for any more: `end`, `start`.
        counted: Its labels (project, pipeline, type, result, error), once it was counted as finished.
        waited: Whether its time in the queue was recorded.
        active_as: Labels under which it is counted as active: pipeline and state.
        active_in: The state that it is counted in.
    """

    run: RunKey
    seen_at: float
    queued: RunUpdate | None = None
    started: RunUpdate | None = None
    finished: RunUpdate | None = None
    gave_up: frozenset[str] = frozenset()
    counted: tuple[str, str, str, str, str] | None = None
    waited: bool = False
    active_as: tuple[str, ...] | None = None
    active_in: tuple[str, str] | None = None

    def learn(self, update: RunUpdate, told_at: float | None) -> None:
        """Take an update in; the first of a phase stays.

        Args:
            update: What was said.
            told_at: The event's own time, for updates that don't say when.
        """
        match update.phase:
            case Phase.QUEUED:
                self.queued = self.queued or _timed(update, queued_at=update.queued_at or told_at)
            case Phase.STARTED:
                self.started = self.started or _timed(update, started_at=update.started_at or told_at)
            case Phase.FINISHED:
                self.finished = self.finished or _timed(update, finished_at=update.finished_at or told_at)

    @property
    def pipeline(self) -> str | None:
        """The pipeline's name, as the latest phase has it."""
        return self.say("pipeline")

    @property
    def project(self) -> str | None:
        """The project's name, likewise."""
        return self.say("project")

    @property
    def queued_at(self) -> float | None:
        """When it was queued."""
        return self._first("queued_at")

    @property
    def started_at(self) -> float | None:
        """When it began to execute."""
        return self._first("started_at")

    @property
    def executed_s(self) -> float | None:
        """Time that it executed, in seconds: as its sender measured it, or from its start to its end."""
        end = self.finished
        if end is None:
            return None
        if end.duration_s is not None:
            return end.duration_s
        start = self.started_at
        if start is None or end.finished_at is None:
            return None
        return max(0.0, end.finished_at - start)  # clocks of two hosts may disagree

    @property
    def complete(self) -> bool:
        """Whether all is known that counting it needs, or what is missing was given up."""
        if self.finished is None or self.counted:
            return False
        named = bool(self.pipeline) and (bool(self.project) or self.run.system in _WITHOUT_PROJECT)
        known = self.executed_s is not None and named
        return known or "start" in self.gave_up

    @property
    def error_type(self) -> str | None:
        """Class of the failure, as the end says it."""
        return self.finished.error_type if self.finished else None

    @property
    def state(self) -> str | None:
        """The state in which it is active; None where it ended, was given up, or nothing is known."""
        if self.finished or self.counted or "end" in self.gave_up:
            return None
        if self.started:
            return "executing"
        return "pending" if self.queued else None

    @property
    def result(self) -> RunResult:
        """How it ended; an end without a result is the system's error."""
        return (self.finished.result if self.finished else None) or RunResult.ERROR

    def forget(self) -> None:
        """Forget what a counted run doesn't need any more: all but the times that its wait is taken from."""
        queued_at, started_at = (None, None) if self.waited else (self.queued_at, self.started_at)
        self.finished = None
        run = self.run
        self.queued = None if queued_at is None else RunUpdate(run, Phase.QUEUED, queued_at=queued_at)
        self.started = None if started_at is None else RunUpdate(run, Phase.STARTED, started_at=started_at)

    def say(self, name: str) -> str | None:
        """Return one of an update's texts, such as `url`, as the latest phase has it."""
        for update in (self.finished, self.started, self.queued):
            if update is not None and (value := getattr(update, name)):
                return str(value)
        return None

    def _first(self, name: str) -> float | None:
        for update in (self.finished, self.started, self.queued):
            if update is not None:
                value: float | None = getattr(update, name)
                if value is not None:
                    return value
        return None


def key_of(run: RunKey) -> str:
    """Return a run's key as text; its parts hold no control characters."""
    return f"{run.system}\0{run.scope}\0{run.run_id}\0{run.attempt}"


def _timed(update: RunUpdate, **times: float | None) -> RunUpdate:
    for name, value in times.items():
        if getattr(update, name) != value:
            return msgspec.structs.replace(update, **times)
    return update
