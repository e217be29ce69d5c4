"""GitLab's webhooks.

Source: https://docs.gitlab.com/user/project/integrations/webhook_events/

What happened is read from `object_kind`, which is in the signed body, not from the header. A pipeline whose
jobs are retried after its end keeps its id: its first end stays the one that counts.
"""

from collections.abc import Callable, Mapping, Sequence
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

SYSTEM: Final = "gitlab"

MAX_BUILDS: Final = 2000
"""Most jobs of a pipeline that are taken in with its end."""

MAX_DURATION_S: Final = 1e9

PHASES: Final[Mapping[str, Phase]] = MappingProxyType(
    dict.fromkeys(("created", "waiting_for_resource", "preparing", "pending", "scheduled"), Phase.QUEUED)
    | {"running": Phase.STARTED}
    | dict.fromkeys(("success", "failed", "canceled", "skipped"), Phase.FINISHED)
)
"""Phases by status; the others (`manual`, `canceling`) are steps in between that say nothing new."""

RESULTS: Final[Mapping[str, RunResult]] = MappingProxyType(
    {
        "success": RunResult.SUCCESS,
        "failed": RunResult.FAILURE,
        "canceled": RunResult.CANCELLATION,
        "skipped": RunResult.SKIP,
    }
)
"""Results by final status."""

FAILURES: Final[Mapping[str, RunResult]] = MappingProxyType(
    dict.fromkeys(("job_execution_timeout", "stuck_or_timeout_failure"), RunResult.TIMEOUT)
    | dict.fromkeys(
        (
            "api_failure",
            "archived_failure",
            "config_error",
            "data_integrity_failure",
            "runner_system_failure",
            "runner_unsupported",
            "scheduler_failure",
        ),
        RunResult.ERROR,
    )
)
"""Results by reason of a failure, where it wasn't the job's own."""

_DEPLOYMENTS: Final = {"success": DeploymentKind.DEPLOYED, "failed": DeploymentKind.FAILED}

Told = tuple[str, EventType, Payload, float | None]
"""An event but for its identity: what tells it from others of the delivery, type, payload and time."""


def translate(delivery: Delivery) -> Outcome:
    """Translate a delivery.

    Args:
        delivery: It, verified.

    Returns:
        The events: one, or of a pipeline's end those of its jobs as well.

    Raises:
        RejectedError: A member that is needed is missing or can't be used.
    """
    body = fields.members_of(delivery.body, "body")
    kind = fields.text(body, "object_kind")
    reader = _READERS.get(kind)
    if reader is None:
        return unsupported(SYSTEM, kind)
    state, told = reader(body)
    if not told:
        return unsupported(SYSTEM, kind, state)
    delivery_id = _delivery_id(delivery.headers)
    source = _scope(body)
    # Deliveries that one hook sets off through another share their UUID, so that alone is no identity.
    return [Event(source, f"{delivery_id}/{part}", kind_of, said, at) for part, kind_of, said, at in told]


def _delivery_id(headers: Mapping[str, str]) -> str:
    for name in ("webhook-id", "idempotency-key", "x-gitlab-event-uuid"):
        if (given := read.optional(headers, name, 256)) is not None:
            return given
    raise fields.missing("x-gitlab-event-uuid", "the delivery's id")


def _pipeline(body: Mapping[str, object]) -> tuple[str, Sequence[Told]]:
    at = "object_attributes."
    pipeline = fields.members_of(body.get("object_attributes"), "object_attributes")
    status = fields.text(pipeline, "status", at=at)
    phase = PHASES.get(status)
    if phase is None:
        return status, ()
    run = RunKey(SYSTEM, _scope(body), str(read.whole(pipeline, "id", at)))
    name = read.optional(pipeline, "name", at=at) or _project(body)
    builds = _builds(body) if phase is Phase.FINISHED else []
    created = read.time(pipeline, "created_at", at)
    waited = read.optional_number(pipeline, "queued_duration", MAX_DURATION_S, at)
    started = created + waited if waited is not None else None
    # A pipeline that was skipped never began, and so has no end.
    finished = read.optional_time(pipeline, "finished_at", at) if phase is Phase.FINISHED else None
    if started is not None and finished is not None:
        started = min(started, finished)
    reason = read.optional(pipeline, "failure_reason", at=at)
    result = _result(status, reason) if phase is Phase.FINISHED else None
    update = RunUpdate(
        run=run,
        phase=phase,
        pipeline=name,
        project=_project(body),
        queued_at=created,
        started_at=None if phase is Phase.QUEUED else started,
        finished_at=finished,
        result=result,
        duration_s=read.optional_number(pipeline, "duration", MAX_DURATION_S, at) if finished else None,
        error_type=reason if result and result.failed else None,
        url=read.optional(pipeline, "url", read.URL_LIMIT, at),
        revision=read.optional(pipeline, "sha", at=at),
    )
    times = {Phase.QUEUED: created, Phase.STARTED: started, Phase.FINISHED: finished}
    tasks = [_task_of_build(build, f"builds[{n}].", run, name, _project(body)) for n, build in builds]
    # The jobs come first: the run's end, and its trace, then know all of them.
    ended = [task for task in tasks if task is not None]
    return status, [*ended, (f"{run.run_id}/{phase}", EventType.GITLAB_PIPELINE, update, times[phase])]


def _builds(body: Mapping[str, object]) -> list[tuple[int, Mapping[str, object]]]:
    builds = body.get("builds")
    if builds is None:
        return []
    expected = f"an array of at most {MAX_BUILDS} jobs"
    if not isinstance(builds, list):
        raise reject(Reason.WRONG_TYPE, "builds", expected, builds)
    if len(builds) > MAX_BUILDS:
        raise reject(Reason.TOO_LONG, "builds", expected, builds)
    return [(n, fields.members_of(build, f"builds[{n}]")) for n, build in enumerate(builds)]


def _task_of_build(
    build: Mapping[str, object], at: str, run: RunKey, pipeline: str, project: str
) -> Told | None:
    status = fields.text(build, "status", at=at)
    if PHASES.get(status) is not Phase.FINISHED:
        return None  # a manual job that nobody started
    queued = read.time(build, "created_at", at)
    runner = build.get("runner")
    finished = read.optional_time(build, "finished_at", at)
    update = TaskUpdate(
        run=run,
        task_id=str(read.whole(build, "id", at)),
        phase=Phase.FINISHED,
        name=fields.text(build, "name", read.NAME_LIMIT, at),
        pipeline=pipeline,
        project=project,
        queued_at=queued,
        started_at=read.optional_time(build, "started_at", at),
        finished_at=finished,
        result=_result(status, read.optional(build, "failure_reason", at=at)),
        worker=_worker(runner, at + "runner"),
    )
    return f"{update.task_id}/{update.phase}", EventType.GITLAB_JOB, update, finished


def _job(body: Mapping[str, object]) -> tuple[str, Sequence[Told]]:
    status = fields.text(body, "build_status")
    phase = PHASES.get(status)
    if phase is None:
        return status, ()
    queued = read.time(body, "build_created_at")
    started = read.optional_time(body, "build_started_at") if phase is not Phase.QUEUED else None
    finished = read.optional_time(body, "build_finished_at") if phase is Phase.FINISHED else None
    job_id = str(read.whole(body, "build_id"))
    update = TaskUpdate(
        run=RunKey(SYSTEM, _scope(body), str(read.whole(body, "pipeline_id"))),
        task_id=job_id,
        phase=phase,
        name=fields.text(body, "build_name", read.NAME_LIMIT),
        project=_project(body),
        queued_at=queued,
        started_at=started,
        finished_at=finished,
        result=_result(status, read.optional(body, "build_failure_reason"))
        if phase is Phase.FINISHED
        else None,
        worker=_worker(body.get("runner"), "runner"),
        url=f"{_web_url(body)[0]}/-/jobs/{job_id}",
    )
    times = {Phase.QUEUED: queued, Phase.STARTED: started, Phase.FINISHED: finished}
    return status, [(f"{update.task_id}/{phase}", EventType.GITLAB_JOB, update, times[phase])]


def _merge_request(body: Mapping[str, object]) -> tuple[str, Sequence[Told]]:
    at = "object_attributes."
    change = fields.members_of(body.get("object_attributes"), "object_attributes")
    action = read.optional(change, "action", at=at) or ""
    if action != "merge":
        return action, ()
    merged = read.optional_time(change, "merged_at", at) or read.time(change, "updated_at", at)
    revision = read.optional(change, "merge_commit_sha", at=at) or read.optional(
        change, "squash_commit_sha", at=at
    )
    if revision is None:  # a fast-forward makes no commit of its own
        last = fields.members_of(change.get("last_commit"), at + "last_commit")
        revision = fields.text(last, "id", at=at + "last_commit.")
    number = str(read.whole(change, "iid", at))
    created = read.optional_time(change, "created_at", at)
    payload = ChangeMerged(_project(body), revision, merged, created, change_id=number)
    return action, [(f"{number}/merged", EventType.GITLAB_MERGE_REQUEST, payload, merged)]


def _deployment(body: Mapping[str, object]) -> tuple[str, Sequence[Told]]:
    status = fields.text(body, "status")
    kind = _DEPLOYMENTS.get(status)
    if kind is None:
        return status, ()
    changed = read.time(body, "status_changed_at")
    number = str(read.whole(body, "deployment_id"))
    # The whole commit is in its URL alone.
    commit = (read.optional(body, "commit_url", read.URL_LIMIT) or "").rpartition("/")[2]
    revision = commit if len(commit) in {40, 64} else read.optional(body, "short_sha")
    payload = Deployed(_project(body), fields.text(body, "environment"), kind, changed, number, revision)
    return status, [(f"{number}/{kind}", EventType.GITLAB_DEPLOYMENT, payload, changed)]


_READERS: Final[Mapping[str, Callable[[Mapping[str, object]], tuple[str, Sequence[Told]]]]] = (
    MappingProxyType(
        {
            "pipeline": _pipeline,
            "build": _job,
            "merge_request": _merge_request,
            "deployment": _deployment,
        }
    )
)
"""One row a known kind; a reader gives the state or action, and nothing where it says nothing."""


def _result(status: str, reason: str | None) -> RunResult:
    result = RESULTS[status]
    return FAILURES.get(reason or "", result) if result is RunResult.FAILURE else result


def _worker(runner: object, path: str) -> str | None:
    if runner is None:
        return None
    return read.optional(fields.members_of(runner, path), "description", at=path + ".")


def _web_url(body: Mapping[str, object]) -> tuple[str, str]:
    """Give the project's URL and the path of the field that holds it; older job hooks have no project."""
    if body.get("project") is not None:
        project = fields.members_of(body["project"], "project")
        return fields.text(project, "web_url", read.URL_LIMIT, "project."), "project.web_url"
    repository = fields.members_of(body.get("repository"), "project")
    return fields.text(repository, "homepage", read.URL_LIMIT, "repository."), "repository.homepage"


def _scope(body: Mapping[str, object]) -> str:
    host, path = read.host_and_path(*_web_url(body))
    return fields.text({"scope": f"{host}/{path}"}, "scope", read.ID_LIMIT)


def _project(body: Mapping[str, object]) -> str:
    project = body.get("project")
    if isinstance(project, dict) and project.get("path_with_namespace"):
        return fields.text(project, "path_with_namespace", at="project.")
    url, field = _web_url(body)
    return fields.text({field: read.host_and_path(url, field)[1]}, field)
