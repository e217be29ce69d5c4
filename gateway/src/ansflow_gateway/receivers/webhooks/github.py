"""GitHub's webhooks.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads

`run_started_at` is when an attempt was triggered. It is taken as both its queueing and its start, as GitHub's
own run times do; the time that jobs wait for a runner is exact in the tasks.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ansflow_gateway.domain import fields
from ansflow_gateway.domain.events import (
    ChangeMerged,
    Deployed,
    DeploymentKind,
    Event,
    EventType,
    Payload,
    Phase,
    RunKey,
    RunResult,
    RunUpdate,
    TaskUpdate,
)
from ansflow_gateway.domain.rejection import Reason, reject
from ansflow_gateway.receivers.webhooks import translation as read
from ansflow_gateway.receivers.webhooks.translation import Delivery, Outcome, unsupported

SYSTEM: Final = "github"

RESULTS: Final[Mapping[str, RunResult]] = MappingProxyType(
    {
        "success": RunResult.SUCCESS,
        "neutral": RunResult.SUCCESS,  # it ran, and has nothing to object to
        "failure": RunResult.FAILURE,
        "startup_failure": RunResult.ERROR,
        "timed_out": RunResult.TIMEOUT,
        "cancelled": RunResult.CANCELLATION,
        "stale": RunResult.CANCELLATION,  # GitHub gave it up after 14 days
        "skipped": RunResult.SKIP,
        "action_required": RunResult.SKIP,  # it waits for somebody's approval, and didn't run
    }
)
"""Results by conclusion."""

_RUN_PHASES: Final = {
    "requested": Phase.QUEUED,
    "in_progress": Phase.STARTED,
    "completed": Phase.FINISHED,
}
_JOB_PHASES: Final = {
    "queued": Phase.QUEUED,
    "waiting": Phase.QUEUED,
    "in_progress": Phase.STARTED,
    "completed": Phase.FINISHED,
}
_DEPLOYMENTS: Final = {
    "success": DeploymentKind.DEPLOYED,
    "failure": DeploymentKind.FAILED,
    "error": DeploymentKind.FAILED,
}

Told = tuple[EventType, Payload, float | None]
"""An event but for its identity: type, payload and time."""


def translate(delivery: Delivery) -> Outcome:
    """Translate a delivery.

    Args:
        delivery: It, verified.

    Returns:
        At most one event; none for a ping.

    Raises:
        RejectedError: A member that is needed is missing or can't be used.
    """
    kind = delivery.header("x-github-event", 100)
    delivery_id = delivery.header("x-github-delivery")
    if kind == "ping":
        return ()
    reader = _READERS.get(kind)
    if reader is None:
        return unsupported(SYSTEM, kind)
    body = fields.members_of(delivery.body, "body")
    told = reader(body)
    if isinstance(told, str):
        return unsupported(SYSTEM, kind, told)
    event_type, payload, time = told
    return (Event(_scope(body), delivery_id, event_type, payload, time),)


def _workflow_run(body: Mapping[str, object]) -> Told | str:
    action = fields.text(body, "action")
    phase = _RUN_PHASES.get(action)
    if phase is None:
        return action
    at = "workflow_run."
    run = fields.members_of(body.get("workflow_run"), "workflow_run")
    triggered = read.time(run, "run_started_at", at)
    updated = read.time(run, "updated_at", at)
    conclusion, result = _conclusion(run, at) if phase is Phase.FINISHED else (None, None)
    update = RunUpdate(
        run=_run_key(body, run, "id", at),
        phase=phase,
        pipeline=fields.text(run, "name", at=at),
        project=_project(body),
        # `created_at` is the first attempt's: a rerun was queued when it was triggered.
        queued_at=read.time(run, "created_at", at) if run.get("run_attempt") == 1 else triggered,
        started_at=None if phase is Phase.QUEUED else triggered,
        finished_at=updated if phase is Phase.FINISHED else None,
        result=result,
        error_type=conclusion if result in {RunResult.ERROR, RunResult.TIMEOUT} else None,
        url=read.optional(run, "html_url", read.URL_LIMIT, at),
        revision=read.optional(run, "head_sha", at=at),
    )
    return EventType.GITHUB_WORKFLOW_RUN, update, triggered if phase is Phase.QUEUED else updated


def _workflow_job(body: Mapping[str, object]) -> Told | str:
    action = fields.text(body, "action")
    phase = _JOB_PHASES.get(action)
    if phase is None:
        return action
    at = "workflow_job."
    job = fields.members_of(body.get("workflow_job"), "workflow_job")
    # A queued job's `started_at` is when it was queued, and a skipped job's may be after its end.
    started = read.time(job, "started_at", at) if phase is not Phase.QUEUED else None
    finished = read.time(job, "completed_at", at) if phase is Phase.FINISHED else None
    if started is not None and finished is not None:
        started = min(started, finished)
    queued = read.optional_time(job, "created_at", at)
    update = TaskUpdate(
        run=_run_key(body, job, "run_id", at),
        task_id=str(read.whole(job, "id", at)),
        phase=phase,
        name=fields.text(job, "name", read.NAME_LIMIT, at),
        pipeline=read.optional(job, "workflow_name", at=at),
        project=_project(body),
        queued_at=queued,
        started_at=started,
        finished_at=finished,
        result=_conclusion(job, at)[1] if phase is Phase.FINISHED else None,
        worker=read.optional(job, "runner_name", at=at),
        url=read.optional(job, "html_url", read.URL_LIMIT, at),
    )
    times = {Phase.QUEUED: queued, Phase.STARTED: started, Phase.FINISHED: finished}
    return EventType.GITHUB_WORKFLOW_JOB, update, times[phase]


def _pull_request(body: Mapping[str, object]) -> Told | str:
    change = fields.members_of(body.get("pull_request"), "pull_request")
    action = fields.text(body, "action")
    if action != "closed" or change.get("merged") is not True:
        return action
    at = "pull_request."
    merged = read.time(change, "merged_at", at)
    payload = ChangeMerged(
        project=_project(body),
        revision=fields.text(change, "merge_commit_sha", at=at),
        merged_at=merged,
        created_at=read.optional_time(change, "created_at", at),
        change_id=str(read.whole(change, "number", at)),
    )
    return EventType.GITHUB_PULL_REQUEST, payload, merged


def _deployment_status(body: Mapping[str, object]) -> Told | str:
    status = fields.members_of(body.get("deployment_status"), "deployment_status")
    state = fields.text(status, "state", at="deployment_status.")
    kind = _DEPLOYMENTS.get(state)
    if kind is None:
        return state
    at = "deployment."
    deployment = fields.members_of(body.get("deployment"), "deployment")
    told_at = read.time(status, "created_at", "deployment_status.")
    payload = Deployed(
        project=_project(body),
        environment=fields.text(deployment, "environment", at=at),
        kind=kind,
        at=told_at,
        deployment_id=str(read.whole(deployment, "id", at)),
        revision=read.optional(deployment, "sha", at=at),
    )
    return EventType.GITHUB_DEPLOYMENT_STATUS, payload, told_at


_READERS: Final[Mapping[str, Callable[[Mapping[str, object]], Told | str]]] = MappingProxyType(
    {
        "workflow_run": _workflow_run,
        "workflow_job": _workflow_job,
        "pull_request": _pull_request,
        "deployment_status": _deployment_status,
    }
)
"""One row a known event; a reader gives the action or state alone where it says nothing."""


def _run_key(body: Mapping[str, object], members: Mapping[str, object], name: str, at: str) -> RunKey:
    return RunKey(
        SYSTEM,
        _scope(body),
        str(read.whole(members, name, at)),
        read.whole(members, "run_attempt", at, least=1),
    )


def _conclusion(members: Mapping[str, object], at: str) -> tuple[str, RunResult]:
    conclusion = fields.text(members, "conclusion", at=at)
    if conclusion not in RESULTS:
        raise reject(Reason.INVALID_VALUE, at + "conclusion", "one of " + ", ".join(RESULTS), conclusion)
    return conclusion, RESULTS[conclusion]


def _project(body: Mapping[str, object]) -> str:
    repository = fields.members_of(body.get("repository"), "repository")
    return fields.text(repository, "full_name", at="repository.")


def _scope(body: Mapping[str, object]) -> str:
    repository = fields.members_of(body.get("repository"), "repository")
    url = fields.text(repository, "html_url", read.URL_LIMIT, "repository.")
    host, _ = read.host_and_path(url, "repository.html_url")
    return f"{host}/{_project(body)}"
