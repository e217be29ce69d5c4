"""The domain events, and their form as CloudEvents 1.0."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class PipelineRunFinished:
    """A pipeline run has come to its end.

    Args:
        run_id: The run's id.
        pipeline: The pipeline's name.
        project: The project's slug.
        pipeline_type: What the pipeline is for: `build`, `test`, `deploy` or `pipeline`.
        result: `success`, `failure`, `error`, `timeout`, `cancellation` or `skip`.
        duration_s: How long it was running, in seconds.
        error_type: The kind of failure; `None` where there was none.
    """

    type: ClassVar[str] = "dev.ansflow.pipeline.run.finished.v1"

    run_id: str
    pipeline: str
    project: str
    pipeline_type: str
    result: str
    duration_s: float
    error_type: str | None = None

    @property
    def subject(self) -> str:
        """The CloudEvent's subject."""
        return f"runs/{self.run_id}"

    def data(self) -> dict[str, object]:
        """Return the CloudEvent's data."""
        data: dict[str, object] = {
            "run_id": self.run_id,
            "pipeline": self.pipeline,
            "project": self.project,
            "pipeline_type": self.pipeline_type,
            "result": self.result,
            "duration_s": self.duration_s,
        }
        if self.error_type is not None:
            data["error_type"] = self.error_type
        return data


@dataclass(frozen=True, slots=True)
class UserActivity:
    """A user did something.

    Args:
        action: What was done, such as `run_started`; from a small fixed set.
        user_type: `admin`, `developer`, `viewer`, `service`, `anonymous` or `unknown`.
        user_id: Who did it; `None` where nobody was named.
    """

    type: ClassVar[str] = "dev.ansflow.user.activity.v1"

    action: str
    user_type: str
    user_id: str | None = None

    @property
    def subject(self) -> str:
        """The CloudEvent's subject."""
        return f"users/{self.user_id or 'anonymous'}"

    def data(self) -> dict[str, object]:
        """Return the CloudEvent's data."""
        data: dict[str, object] = {"action": self.action, "user_type": self.user_type}
        if self.user_id is not None:
            data["user_id"] = self.user_id
        return data


Event = PipelineRunFinished | UserActivity


def cloud_event(event: Event, *, source: str) -> dict[str, object]:
    """Wrap a domain event as a CloudEvent in structured JSON form.

    Its id is made here, once: sending it again sends the same id, by which a receiver drops duplicates.

    Args:
        event: What happened.
        source: The URI reference of the service it happened in.

    Returns:
        The JSON object (CloudEvents 1.0, JSON event format 1.0, section 3).
    """
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "type": event.type,
        "subject": event.subject,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": event.data(),
    }
