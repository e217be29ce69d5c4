"""Facts to be told to a gateway, and by arithmetic of its own what the meters say once they are told.

It shares no code with the gateway's receivers, folding or meters.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

Labels = frozenset[tuple[str, str]]
"""A series' labels, without those that are empty."""

Figures = dict[tuple[str, Labels], float]
"""Values by the name of a sample and its labels; without zeros."""

RUNNERS = 5
"""Workers that GitHub's jobs are executed by."""

_MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Run:
    """A pipeline run, as its events tell it.

    Attributes:
        system: Its CI system.
        run_id: Its id there.
        project: Its project.
        pipeline: Its pipeline.
        result: How it ended.
        error_type: Class of the failure; empty where it didn't fail.
        waited_s: Time in the queue, in whole seconds: sums of them are exact.
        took_s: Time of execution, in whole seconds.
        knows: Phases whose times its end tells again: `queued`, `started`.
    """

    system: str
    run_id: str
    project: str
    pipeline: str
    result: str
    error_type: str
    waited_s: int
    took_s: int
    knows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """Something that happened once, however often it is told.

    Attributes:
        body: A CloudEvent without its id, or the body of GitHub's webhook.
        adds: What it adds to which sample.
        run: The run that it is of.
        phase: The phase of that run.
        identified: Whether it is the same fact when it is told under another id.
        github: The webhook's kind; empty for a CloudEvent.
    """

    body: Mapping[str, Any]
    adds: tuple[tuple[str, Labels, float], ...] = ()
    run: Run | None = None
    phase: str = ""
    identified: bool = False
    github: str = ""


def labels(**given: str) -> Labels:
    """Make a series' labels; empty ones aren't there."""
    return frozenset((name, value) for name, value in given.items() if value)


def figures(facts: Iterable[Fact]) -> Figures:
    """Tell what the meters say when these facts were told, once or more often, in whatever order."""
    sums: dict[tuple[str, Labels], float] = defaultdict(float)
    runs: dict[Run, set[str]] = defaultdict(set)
    for fact in set(facts):
        for name, series, amount in fact.adds:
            sums[name, series] += amount
        if fact.run:
            runs[fact.run].add(fact.phase)
    for run, told in runs.items():
        if "finished" not in told:
            state = "executing" if "started" in told else "pending"
            active = labels(cicd_pipeline_name=run.pipeline, cicd_pipeline_run_state=state)
            sums["cicd_pipeline_run_active", active] += 1
            continue
        _add_duration(sums, run, "executing", run.took_s)
        if {"queued", "started"} <= told | run.knows:
            _add_duration(sums, run, "pending", run.waited_s)
        if run.error_type:
            error = labels(cicd_pipeline_name=run.pipeline, error_type=run.error_type)
            sums["cicd_pipeline_run_errors_total", error] += 1
        if run.result == "error":
            error = labels(cicd_system_component=run.system, error_type=run.error_type)
            sums["cicd_system_errors_total", error] += 1
    return {key: value for key, value in sums.items() if value}


def _add_duration(sums: dict[tuple[str, Labels], float], run: Run, state: str, seconds: int) -> None:
    series = labels(
        ansflow_project_name=run.project,
        cicd_pipeline_name=run.pipeline,
        ansflow_pipeline_type="pipeline",
        cicd_pipeline_run_state=state,
        cicd_pipeline_result=run.result,
        error_type=run.error_type,
    )
    sums["cicd_pipeline_run_duration_seconds_count", series] += 1
    sums["cicd_pipeline_run_duration_seconds_sum", series] += seconds


def ansflow_run(number: int, dice: Random) -> list[Fact]:
    """Make the three facts of a run: queued, started, finished."""
    result = dice.choice(("success", "success", "success", "failure", "timeout", "error"))
    error = "" if result == "success" else dice.choice(("AssertionError", "OutOfMemory"))
    says_duration = dice.random() < 0.5
    run = Run(
        "ansflow",
        f"run-{number}",
        f"project-{number % 10}",
        f"pipeline-{number % 30}",
        result,
        error,
        dice.randrange(60),
        dice.randrange(1, 3600),
        frozenset() if says_duration else frozenset({"started"}),
    )
    queued, started, finished = _times(number, run)
    names: dict[str, object] = {"run_id": run.run_id, "pipeline": run.pipeline, "project": run.project}
    end: dict[str, object] = {"result": result, "finished_at": finished}
    end |= {"duration_s": run.took_s} if says_duration else {"started_at": started}
    end |= {"error_type": error} if error else {}
    told: dict[str, dict[str, object]]
    told = {"queued": {"queued_at": queued}, "started": {"started_at": started}, "finished": end}
    return [
        Fact(
            _event(f"dev.ansflow.pipeline.run.{phase}.v1", names | data),
            run=run,
            phase=phase,
            identified=True,
        )
        for phase, data in told.items()
    ]


def activity(number: int, dice: Random) -> list[Fact]:
    """Make the fact that a user did something."""
    action, user = dice.choice(("login", "build", "deploy", "review")), dice.choice(("admin", "developer"))
    body = _event("dev.ansflow.user.activity.v1", {"action": action, "user_type": user})
    return [Fact(body, (("ansflow_user_activity_total", labels(action=action, user_type=user), 1),))]


def call(number: int, dice: Random) -> list[Fact]:
    """Make the fact that an integration was called."""
    kind, status = dice.choice(("slack", "jira")), dice.choice(("success", "success", "failed"))
    seconds, error = dice.randrange(1, 40) / 8, "" if status == "success" else "timeout"
    data = {"integration_type": kind, "status": status, "duration_s": seconds, "error_type": error or None}
    timed = labels(integration_type=kind, status=status, error_type=error)
    adds = (
        ("ansflow_integration_calls_total", labels(integration_type=kind, status=status), 1),
        ("ansflow_integration_call_duration_seconds_count", timed, 1),
        ("ansflow_integration_call_duration_seconds_sum", timed, seconds),
    )
    return [Fact(_event("dev.ansflow.integration.call.v1", data), adds)]


def usage(number: int, dice: Random) -> list[Fact]:
    """Make the fact that a project used resources."""
    project, cpu, network = f"project-{number % 10}", dice.randrange(1, 80) / 8, dice.randrange(1, 10**6)
    data = {"project": project, "cpu_s": cpu, "network_bytes": network}
    series = labels(ansflow_project_name=project)
    adds = (
        ("ansflow_project_cpu_time_seconds_total", series, cpu),
        ("ansflow_project_network_io_bytes_total", series, network),
    )
    return [Fact(_event("dev.ansflow.project.usage.v1", data), adds)]


def connections(number: int, dice: Random) -> list[Fact]:
    """Make two facts: WebSocket connections that were opened, and their ends."""
    endpoint, many, sent = f"/ws/{number % 3}", dice.randrange(1, 9), dice.randrange(1, 99)
    series, active = labels(endpoint=endpoint), "ansflow_websocket_connections_active"
    opened = {"endpoint": endpoint, "opened": many}
    closed = {"endpoint": endpoint, "closed": {"1000": many}, "sent": sent}
    return [
        Fact(
            _event("dev.ansflow.websocket.activity.v1", opened),
            (("ansflow_websocket_connections_total", series, many), (active, series, many)),
        ),
        Fact(
            _event("dev.ansflow.websocket.activity.v1", closed),
            (
                (
                    "ansflow_websocket_disconnections_total",
                    labels(endpoint=endpoint, code="1000"),
                    many,
                ),
                (
                    "ansflow_websocket_messages_total",
                    labels(endpoint=endpoint, direction="sent"),
                    sent,
                ),
                (active, series, -many),
            ),
        ),
    ]


def cdevents_task(number: int, dice: Random) -> list[Fact]:
    """Make the two facts of a task; no counter tells of it, but the journal has each once."""
    start = number % 40_000
    times = {"started": start, "finished": start + dice.randrange(1, 600)}
    content = {"taskName": "lint", "pipelineRun": {"id": f"cd-run-{number}"}}
    facts = []
    for phase, seconds in times.items():
        kind, source = f"dev.cdevents.taskrun.{phase}.0.2.0", "/cd"
        subject = {"id": f"task-{number}", "type": "taskRun", "content": content}
        if phase == "finished":
            subject |= {"content": content | {"outcome": "success"}}
        context = {"version": "0.4.1", "source": source, "type": kind, "timestamp": _at(seconds)}
        body = _event(kind, {"context": context, "subject": subject}, source) | {"time": _at(seconds)}
        facts.append(Fact(body, identified=True))
    return facts


def github_run(number: int, dice: Random) -> list[Fact]:
    """Make the facts of a GitHub run and of its one job, a phase each."""
    conclusion = dice.choice(("success", "failure"))
    repository = f"acme-example/shop-{number % 4}"
    error = "" if conclusion == "success" else "_OTHER"  # GitHub says no more than that it failed
    run = Run(
        "github",
        str(1_000 + number),
        repository,
        "Build",
        conclusion,
        error,
        0,
        dice.randrange(1, 900),
        frozenset({"queued", "started"}),
    )
    triggered, _, finished = _times(number, run)
    where = {"full_name": repository, "html_url": f"https://github.com/{repository}"}
    facts = []
    for phase, action in {"queued": "requested", "started": "in_progress", "finished": "completed"}.items():
        ended = phase == "finished"
        told = {
            "id": 1_000 + number,
            "name": "Build",
            "run_attempt": 1,
            "created_at": triggered,
            "run_started_at": triggered,
            "updated_at": finished if ended else triggered,
            "conclusion": conclusion if ended else None,
        }
        body = {"action": action, "workflow_run": told, "repository": where}
        facts.append(Fact(body, run=run, phase=phase, identified=True, github="workflow_run"))
        if phase != "queued":
            job = {
                "id": 500_000 + number,
                "run_id": 1_000 + number,
                "run_attempt": 1,
                "name": "test",
                "workflow_name": "Build",
                "runner_name": f"runner-{number % RUNNERS}",
                "created_at": triggered,
                "started_at": triggered,
                "completed_at": finished if ended else None,
                "conclusion": conclusion if ended else None,
            }
            body = {"action": action, "workflow_job": job, "repository": where}
            facts.append(Fact(body, identified=True, github="workflow_job"))
    return facts


def _times(number: int, run: Run) -> tuple[str, str, str]:
    queued = number % 40_000
    return _at(queued), _at(queued + run.waited_s), _at(queued + run.waited_s + run.took_s)


def _at(seconds: int) -> str:
    return (_MIDNIGHT + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def _event(kind: str, data: Mapping[str, Any], source: str = "/tests/load") -> dict[str, Any]:
    return {"specversion": "1.0", "source": source, "type": kind, "data": data}
