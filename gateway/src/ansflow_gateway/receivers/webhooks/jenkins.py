"""Jenkins: the Notification plugin's JSON, and a little more for pipelines that send it themselves.

Source: https://plugins.jenkins.io/notification/

::

    {
      "name": "main", "url": "job/shop/job/main/",
      "build": {
        "full_url": "https://ci.example.test/job/shop/job/main/17/", "number": 17,
        "phase": "QUEUED" | "STARTED" | "COMPLETED" | "FINALIZED",
        "status": "SUCCESS" | "UNSTABLE" | "FAILURE" | "NOT_BUILT" | "ABORTED",
        "timestamp": <when it came to the phase, ms since the epoch; 0: not known>,
        "duration": <time that it executed, ms; 0: not known>,
        "scm": {"commit": "…"},
        "stages": [{"id": "6", "name": "Test", "status": "SUCCESS", "startTimeMillis": …,
                    "durationMillis": …, "pauseDurationMillis": …, "execNode": "agent-1"}]
      }
    }

The plugin sends all of it but `stages`, which has the members of the Stage View plugin's `wfapi/describe`,
and is read where the build has ended. `COMPLETED` and `FINALIZED` are the same end; what comes second is a
duplicate. The pipeline is the job's full name; the project is `project`, if there is such a member, else the
job's topmost folder, or its own name where it is in none.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from ansflow_gateway.domain import fields
from ansflow_gateway.domain.events import Event, EventType, Phase, RunKey, RunResult, RunUpdate, TaskUpdate
from ansflow_gateway.domain.rejection import Reason, reject
from ansflow_gateway.receivers.webhooks import translation as read
from ansflow_gateway.receivers.webhooks.translation import Delivery, Outcome, unsupported

SYSTEM: Final = "jenkins"

MAX_STAGES: Final = 500
"""Most stages of a build."""

MAX_DURATION_MS: Final = 1e12

PHASES: Final[Mapping[str, Phase]] = MappingProxyType(
    {
        "QUEUED": Phase.QUEUED,
        "STARTED": Phase.STARTED,
        "COMPLETED": Phase.FINISHED,
        "FINALIZED": Phase.FINISHED,
    }
)

RESULTS: Final[Mapping[str, RunResult]] = MappingProxyType(
    {
        "SUCCESS": RunResult.SUCCESS,
        "UNSTABLE": RunResult.FAILURE,
        "FAILURE": RunResult.FAILURE,
        "NOT_BUILT": RunResult.SKIP,
        "ABORTED": RunResult.CANCELLATION,
    }
)
"""Results of builds by status."""

STAGE_RESULTS: Final[Mapping[str, RunResult]] = MappingProxyType(
    {
        **RESULTS,
        "FAILED": RunResult.FAILURE,
        "NOT_EXECUTED": RunResult.SKIP,
    }
)
"""Results of stages: the Stage View plugin has words of its own."""


def translate(delivery: Delivery) -> Outcome:
    """Translate a delivery.

    Args:
        delivery: It, verified.

    Returns:
        One event of the build, after those of its stages where it has ended and they are told.

    Raises:
        RejectedError: A member that is needed is missing or can't be used.
    """
    body = fields.members_of(delivery.body, "body")
    at = "build."
    build = fields.members_of(body.get("build"), "build")
    word = fields.text(build, "phase", at=at)
    phase = PHASES.get(word)
    if phase is None:
        return unsupported(SYSTEM, "build", word.lower())
    url = fields.text(build, "full_url", read.ID_LIMIT - 16, at)
    number = str(read.whole(build, "number", at))
    host, path = read.host_and_path(url, at + "full_url")
    job = path.removesuffix(f"/{number}")
    run = RunKey(SYSTEM, fields.text({"full_url": f"{host}/{job}"}, "full_url", read.ID_LIMIT, at), number)
    pipeline = _full_name(body, job)
    project = read.optional(body, "project") or pipeline.partition("/")[0]
    moment = _optional_time(build, "timestamp", at)
    duration = _optional_duration(build, "duration", at) if phase is Phase.FINISHED else None
    status = _status(build, RESULTS, at) if phase is Phase.FINISHED else None
    update = RunUpdate(
        run=run,
        phase=phase,
        pipeline=pipeline,
        project=project,
        queued_at=moment if phase is Phase.QUEUED else None,
        started_at=_started(word, moment, duration),
        finished_at=moment if phase is Phase.FINISHED else None,
        result=RESULTS[status] if status else None,
        duration_s=duration,
        error_type="UNSTABLE" if status == "UNSTABLE" else None,
        url=url,
        revision=_commit(build),
    )
    # Word, not phase: both ends of a build are deliveries of their own.
    identity = f"{url}#{word}"
    stages = _stages(build, run, pipeline, project) if phase is Phase.FINISHED else []
    return [
        *(
            Event(host, f"{identity}/{stage.task_id}", EventType.JENKINS_STAGE, stage, stage.finished_at)
            for stage in stages
        ),
        Event(host, identity, EventType.JENKINS_RUN, update, moment),
    ]


def _full_name(body: Mapping[str, object], job: str) -> str:
    """Make `shop/main` of `job/shop/job/main`, whatever path Jenkins itself is below."""
    _, found, names = f"/{job}".partition("/job/")
    if not found:
        return fields.text(body, "name")
    return fields.text({"full_url": "/".join(names.split("/job/"))}, "full_url", at="build.")


def _started(word: str, moment: float | None, duration: float | None) -> float | None:
    if word == "STARTED":
        return moment
    # A finalized build's timestamp is after what came after its end, so that it tells no start.
    if word == "COMPLETED" and moment is not None and duration is not None:
        return max(moment - duration, 0.0)
    return None


def _stages(build: Mapping[str, object], run: RunKey, pipeline: str, project: str) -> Sequence[TaskUpdate]:
    stages = build.get("stages")
    if stages is None:
        return ()
    expected = f"an array of at most {MAX_STAGES} stages"
    if not isinstance(stages, list):
        raise reject(Reason.WRONG_TYPE, "build.stages", expected, stages)
    if len(stages) > MAX_STAGES:
        raise reject(Reason.TOO_LONG, "build.stages", expected, stages)
    return [
        _stage(fields.members_of(stage, f"build.stages[{n}]"), f"build.stages[{n}].", run, pipeline, project)
        for n, stage in enumerate(stages)
    ]


def _stage(stage: Mapping[str, object], at: str, run: RunKey, pipeline: str, project: str) -> TaskUpdate:
    began = _optional_time(stage, "startTimeMillis", at)
    took = sum(
        read.optional_number(stage, name, MAX_DURATION_MS, at) or 0.0
        for name in ("durationMillis", "pauseDurationMillis")
    )
    status = _status(stage, STAGE_RESULTS, at)
    return TaskUpdate(
        run=run,
        task_id=fields.text(stage, "id", 64, at),
        phase=Phase.FINISHED,
        name=fields.text(stage, "name", read.NAME_LIMIT, at),
        pipeline=pipeline,
        project=project,
        started_at=began,
        finished_at=began + took / 1000 if began is not None else None,
        result=STAGE_RESULTS[status],
        worker=read.optional(stage, "execNode", at=at),
    )


def _status(members: Mapping[str, object], results: Mapping[str, RunResult], at: str) -> str:
    status = fields.text(members, "status", at=at)
    if status not in results:
        raise reject(Reason.INVALID_VALUE, at + "status", "one of " + ", ".join(results), status)
    return status


def _optional_time(members: Mapping[str, object], name: str, at: str) -> float | None:
    milliseconds = read.optional_number(members, name, read.LATEST_TIME_S * 1000, at)
    return milliseconds / 1000 if milliseconds else None


def _optional_duration(members: Mapping[str, object], name: str, at: str) -> float | None:
    milliseconds = read.optional_number(members, name, MAX_DURATION_MS, at)
    return milliseconds / 1000 if milliseconds else None


def _commit(build: Mapping[str, object]) -> str | None:
    scm = build.get("scm")
    return (
        None if scm is None else read.optional(fields.members_of(scm, "build.scm"), "commit", at="build.scm.")
    )
