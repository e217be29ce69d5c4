"""The events that the gateway understands: what was said, by whom, whatever format it came in.

Receivers translate CloudEvents, CDEvents and webhooks into these; the store keeps them; the folding knows
nothing else. They are values: frozen, comparable, and encoded as they are for the store's journal.
"""

from enum import StrEnum

import msgspec


class EventType(StrEnum):
    """Kinds of event taken; each is a value of the `event_type` attribute."""

    PIPELINE_RUN_QUEUED = "dev.ansflow.pipeline.run.queued.v1"
    PIPELINE_RUN_STARTED = "dev.ansflow.pipeline.run.started.v1"
    PIPELINE_RUN_FINISHED = "dev.ansflow.pipeline.run.finished.v1"
    USER_ACTIVITY = "dev.ansflow.user.activity.v1"
    INTEGRATION_CALL = "dev.ansflow.integration.call.v1"
    PROJECT_USAGE = "dev.ansflow.project.usage.v1"
    WEBSOCKET_ACTIVITY = "dev.ansflow.websocket.activity.v1"
    CD_PIPELINE_RUN = "dev.cdevents.pipelinerun"
    CD_TASK_RUN = "dev.cdevents.taskrun"
    CD_CHANGE = "dev.cdevents.change"
    CD_ARTIFACT = "dev.cdevents.artifact"
    CD_SERVICE = "dev.cdevents.service"
    CD_INCIDENT = "dev.cdevents.incident"
    GITHUB_WORKFLOW_RUN = "github.workflow_run"
    GITHUB_WORKFLOW_JOB = "github.workflow_job"
    GITHUB_PULL_REQUEST = "github.pull_request"
    GITHUB_DEPLOYMENT_STATUS = "github.deployment_status"
    GITLAB_PIPELINE = "gitlab.pipeline"
    GITLAB_JOB = "gitlab.job"
    GITLAB_MERGE_REQUEST = "gitlab.merge_request"
    GITLAB_DEPLOYMENT = "gitlab.deployment"
    JENKINS_RUN = "jenkins.run"
    JENKINS_STAGE = "jenkins.stage"
    GATEWAY = "dev.ansflow.gateway"
    """What the gateway itself decides and must remember: a run whose end never came."""


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


class Phase(StrEnum):
    """How far a run or a task has come."""

    QUEUED = "queued"
    STARTED = "started"
    FINISHED = "finished"


class RunKey(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Which run of which pipeline: unique over all systems.

    Args:
        system: The CI system: `ansflow`, `cdevents`, `github`, `gitlab`, `jenkins`.
        scope: Where its ids are unique: a repository (`github.com/owner/name`), a project, an event's source.
        run_id: The run within that scope; never a label.
        attempt: Which attempt of it, from 1: a rerun is a run of its own.
    """

    system: str
    scope: str
    run_id: str
    attempt: int = 1


class RunUpdate(msgspec.Struct, frozen=True, gc=False, tag="run", omit_defaults=True):
    """A run has come to a phase. Times are seconds since the epoch; what the sender doesn't say is None.

    Args:
        run: Which run.
        phase: The phase it has come to.
        pipeline: The pipeline's name.
        project: The project that the pipeline belongs to.
        pipeline_type: What the pipeline is for, such as `build` or `deploy`.
        queued_at: When it was queued.
        started_at: When it began to execute.
        finished_at: When it ended.
        result: How it ended; given where the phase is FINISHED.
        duration_s: Time that it executed, in seconds, where the sender measured it himself.
        error_type: Class of the failure, where it failed and the sender knows.
        url: Where a person can look at it.
        revision: The commit it was made for.
        traceparent: W3C trace context of the request that caused it.
    """

    run: RunKey
    phase: Phase
    pipeline: str | None = None
    project: str | None = None
    pipeline_type: str | None = None
    queued_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    result: RunResult | None = None
    duration_s: float | None = None
    error_type: str | None = None
    url: str | None = None
    revision: str | None = None
    traceparent: str | None = None


class TaskUpdate(msgspec.Struct, frozen=True, gc=False, tag="task", omit_defaults=True):
    """A task (job, stage) of a run has come to a phase; see `RunUpdate` for what is not said here.

    Args:
        run: The run that it is a part of.
        task_id: The task within the run; never a label.
        phase: The phase it has come to.
        name: The task's name.
        pipeline: The pipeline's name, where the sender says it with each task.
        project: The project's name, likewise.
        queued_at: When it was queued.
        started_at: When it began to execute.
        finished_at: When it ended.
        result: How it ended.
        worker: Name of the worker (runner, agent) that executes it.
        url: Where a person can look at it.
    """

    run: RunKey
    task_id: str
    phase: Phase
    name: str | None = None
    pipeline: str | None = None
    project: str | None = None
    queued_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    result: RunResult | None = None
    worker: str | None = None
    url: str | None = None


class RunAbandoned(msgspec.Struct, frozen=True, gc=False, tag="abandoned", omit_defaults=True):
    """The gateway gave up waiting for what is missing of a run.

    Args:
        run: Which run.
        missing: `end` where it never finished; `start` where it finished and nobody said when it began.
    """

    run: RunKey
    missing: str


class ChangeMerged(msgspec.Struct, frozen=True, gc=False, tag="change", omit_defaults=True):
    """A change came to the main line: where lead time begins.

    Args:
        project: The project (repository) changed.
        revision: The commit that it became.
        merged_at: When, in seconds since the epoch.
        created_at: When it was begun (opened, first committed), where known: lead time is taken from here.
        change_id: The change's own id, to which artifacts may refer.
    """

    project: str
    revision: str
    merged_at: float
    created_at: float | None = None
    change_id: str | None = None


class ArtifactMade(msgspec.Struct, frozen=True, gc=False, tag="artifact", omit_defaults=True):
    """An artifact was packaged out of a change.

    Args:
        artifact: The artifact's id (a purl).
        change: Id or revision of the change in it.
        made_at: When, in seconds since the epoch.
    """

    artifact: str
    change: str
    made_at: float


class DeploymentKind(StrEnum):
    """What happened to a service in an environment."""

    DEPLOYED = "deployed"
    ROLLED_BACK = "rolledback"
    FAILED = "failed"


class Deployed(msgspec.Struct, frozen=True, gc=False, tag="deployment", omit_defaults=True):
    """A service was deployed, rolled back, or failed to be deployed.

    Args:
        project: The project (service).
        environment: Where to.
        kind: What happened.
        at: When, in seconds since the epoch.
        deployment_id: The deployment, unique within the project and the environment.
        revision: The commit, or the artifact's id, that is there now.
    """

    project: str
    environment: str
    kind: DeploymentKind
    at: float
    deployment_id: str
    revision: str | None = None


class IncidentUpdate(msgspec.Struct, frozen=True, gc=False, tag="incident", omit_defaults=True):
    """An incident was detected, or resolved.

    Args:
        incident_id: The incident, unique within the project.
        project: The project (service) it is one of.
        environment: Where, if it is said.
        at: When, in seconds since the epoch.
        resolved: Whether it was resolved at that time; else it was detected.
        revision: The commit or artifact that is at fault, where it is known.
    """

    incident_id: str
    project: str
    at: float
    resolved: bool
    environment: str | None = None
    revision: str | None = None


class UserActivity(msgspec.Struct, frozen=True, gc=False, tag="activity"):
    """A user did something.

    Args:
        action: What was done.
        user_type: The kind of user; who it was is never a label.
    """

    action: str
    user_type: str


class IntegrationCall(msgspec.Struct, frozen=True, gc=False, tag="integration", omit_defaults=True):
    """An external service was called.

    Args:
        integration_type: Its kind, such as `github` or `slack`.
        success: Whether the call did what it was for.
        duration_s: Time it took, in seconds.
        error_type: Class of the failure.
    """

    integration_type: str
    success: bool
    duration_s: float | None = None
    error_type: str | None = None


class ProjectUsage(msgspec.Struct, frozen=True, gc=False, tag="usage", omit_defaults=True):
    """Resources that a project used since it was last told, and holds now.

    Args:
        project: The project.
        cpu_s: CPU time used, in seconds.
        network_bytes: Bytes moved.
        storage_bytes: Bytes stored now (artifacts, caches).
        memory_bytes: Memory held now, in bytes.
    """

    project: str
    cpu_s: float | None = None
    network_bytes: float | None = None
    storage_bytes: float | None = None
    memory_bytes: float | None = None


class WebSocketActivity(msgspec.Struct, frozen=True, gc=False, tag="websocket", omit_defaults=True):
    """WebSocket connections of a service that can't be instrumented, since it last told.

    Args:
        endpoint: The route.
        opened: Connections accepted.
        closed: Connections ended, by close code as text.
        sent: Messages sent to clients.
        received: Messages received from them.
    """

    endpoint: str
    opened: int = 0
    closed: dict[str, int] = {}
    sent: int = 0
    received: int = 0


Payload = (
    RunUpdate
    | TaskUpdate
    | RunAbandoned
    | ChangeMerged
    | ArtifactMade
    | Deployed
    | IncidentUpdate
    | UserActivity
    | IntegrationCall
    | ProjectUsage
    | WebSocketActivity
)
"""What an event may say."""


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A valid event.

    Args:
        source: Who sent it; with `id` it is the delivery's identity.
        id: The delivery's id within the source: CloudEvents' `id`, `X-GitHub-Delivery`.
        type: Which of the known types.
        payload: What happened.
        time: When it happened, in seconds since the epoch; None where the sender doesn't say.
    """

    source: str
    id: str
    type: EventType
    payload: Payload
    time: float | None = None
