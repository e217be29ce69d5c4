"""The events that the gateway understands."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventType(StrEnum):
    """CloudEvents `type`s taken; each is a value of the `event_type` attribute."""

    PIPELINE_RUN_FINISHED = "dev.ansflow.pipeline.run.finished.v1"
    USER_ACTIVITY = "dev.ansflow.user.activity.v1"


class RunResult(StrEnum):
    """How a run ended: `cicd.pipeline.result` of the CI/CD semantic conventions."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLATION = "cancellation"
    SKIP = "skip"

    @property
    def failed(self) -> bool:
        """Whether such a run counts as failed, and so has an `error.type`."""
        return self in {RunResult.FAILURE, RunResult.ERROR, RunResult.TIMEOUT}


@dataclass(frozen=True, slots=True)
class PipelineRunFinished:
    """A run of a pipeline ended.

    Args:
        run_id: Identity of the run within its source; never a label.
        pipeline: The pipeline's name.
        project: The project that the pipeline belongs to.
        pipeline_type: What the pipeline is for, such as `build` or `deploy`.
        result: How it ended.
        duration_s: Time that it executed, in seconds, finite, not negative.
        error_type: Class of the failure, where it failed and the publisher knows.
    """

    run_id: str
    pipeline: str
    project: str
    pipeline_type: str
    result: RunResult
    duration_s: float
    error_type: str | None


@dataclass(frozen=True, slots=True)
class UserActivity:
    """A user did something.

    Args:
        action: What was done.
        user_type: The kind of user; who it was is never a label.
    """

    action: str
    user_type: str


@dataclass(frozen=True, slots=True)
class Event:
    """A valid event.

    Args:
        source: CloudEvents `source`; with `id` it is the event's identity.
        id: CloudEvents `id`.
        type: Which of the known types.
        time: When it happened, aware of its zone; None where the publisher doesn't say.
        payload: What happened.
    """

    source: str
    id: str
    type: EventType
    time: datetime | None
    payload: PipelineRunFinished | UserActivity
