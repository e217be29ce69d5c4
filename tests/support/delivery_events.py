"""Events of the way from a change to its users, which the end-to-end tests send."""

from datetime import UTC, datetime, timedelta
from typing import Any

PROJECT = "delivery"
"""The runs of `support.events`, which are counted, belong to another."""


def delivery(number: int, now: datetime) -> list[dict[str, Any]]:
    """Return what happens once, each time under ids of its own.

    A run waits, starts, and fails as its system does; another waits still. A change is merged, packaged and
    deployed, and blamed for an incident that is resolved.

    Args:
        number: Tells this time from others.
        now: When the last of it happens.
    """
    began = now - timedelta(hours=1)
    run = {"run_id": f"delivery-{number}", "pipeline": "build", "project": PROJECT}
    queued, started = _at(began), _at(began + timedelta(minutes=2))
    finished = {"started_at": started, "finished_at": _at(now), "result": "error"}
    waiting = {**run, "run_id": f"delivery-waiting-{number}", "queued_at": queued}
    deployed, detected = now - timedelta(minutes=10), now - timedelta(minutes=5)
    change, artifact, incident = f"change-{number}", f"pkg:oci/delivery@{number}", f"incident-{number}"
    where = {"environment": {"id": "production"}}
    broken = {**where, "service": {"id": PROJECT}, "artifactId": artifact}
    return [
        _run("queued", {**run, "queued_at": queued}),
        _run("started", {**run, "started_at": started}),
        _run("finished", {**run, **finished}),
        _run("queued", waiting),
        _cdevent("change.merged.0.2.0", change, {"repository": {"id": PROJECT}}, began),
        _cdevent("artifact.packaged.0.2.0", artifact, {"change": {"id": change}}, began),
        _cdevent("service.deployed.0.2.0", PROJECT, {**where, "artifactId": artifact}, deployed, number),
        _cdevent("incident.detected.0.2.0", incident, broken, detected),
        _cdevent("incident.resolved.0.2.0", incident, broken, now),
    ]


def running_job(now: datetime) -> dict[str, Any]:
    """Return what GitLab says of a job that a runner executes, as the body of its Job Hook."""
    return {
        "object_kind": "build",
        "ref": "main",
        "build_id": 1977,
        "build_name": "unit",
        "build_stage": "test",
        "build_status": "running",
        "build_created_at": _at(now),
        "build_started_at": _at(now),
        "pipeline_id": 31,
        "runner": {"id": 5, "description": "runner-5"},
        "project_id": 380,
        "project_name": PROJECT,
        "project": {"id": 380, "path_with_namespace": PROJECT, "web_url": f"https://gitlab.test/{PROJECT}"},
        "repository": {"name": PROJECT, "homepage": f"https://gitlab.test/{PROJECT}"},
    }


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _run(phase: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{data['run_id']}-{phase}",
        "source": "/tests/e2e",
        "type": f"dev.ansflow.pipeline.run.{phase}.v1",
        "data": data,
    }


def _cdevent(
    kind: str, subject: str, content: dict[str, Any], at: datetime, number: int = 0
) -> dict[str, Any]:
    about = {"id": f"{kind} {subject} {number}", "source": "/tests/e2e", "type": f"dev.cdevents.{kind}"}
    return {
        "specversion": "1.0",
        **about,
        "time": _at(at),
        "data": {
            "context": {"version": "0.4.1", **about, "timestamp": _at(at)},
            "subject": {"id": subject, "type": kind.partition(".")[0], "content": content},
        },
    }
