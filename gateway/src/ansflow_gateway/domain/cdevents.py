"""CDEvents of the specifications 0.3 to 0.5, as CloudEvents carry them.

What says something about runs, tasks, changes, artifacts, deployments and incidents becomes a payload. The
rest of the vocabulary is valid and unsupported: its sender is no worse for it.

Sources: https://github.com/cdevents/spec/blob/v0.5.0/cloudevents-binding.md and the documents beside it
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from ansflow_gateway.domain import fields, rfc3339
from ansflow_gateway.domain.data_types import URL_LIMIT, is_http
from ansflow_gateway.domain.events import (
    ArtifactMade,
    ChangeMerged,
    Deployed,
    DeploymentKind,
    EventType,
    IncidentUpdate,
    Payload,
    Phase,
    RunKey,
    RunResult,
    RunUpdate,
    TaskUpdate,
)
from ansflow_gateway.domain.rejection import Reason, reject

SYSTEM: Final = "cdevents"
"""The CI system that such runs belong to."""

PREFIX: Final = "dev.cdevents"
"""What all types begin with; those of others' own events with `dev.cdeventsx.`."""

IDENTITY_LIMIT: Final = 512
"""Longest id, source and artifact, in characters."""

OTHER: Final = "other"
"""Stands for types that aren't in the specification."""

# The versions of types are of major version 0 as yet; what 1 will mean isn't known.
_TYPE: Final = re.compile(
    r"dev\.cdevents\.(?P<subject>[a-z]+)\.(?P<predicate>[a-z]+)\.0\.\d+\.\d+(-[0-9A-Za-z.-]+)?", re.ASCII
)
_ANY_TYPE: Final = re.compile(r"dev\.cdeventsx?(\.[A-Za-z0-9_-]+){3,}", re.ASCII)

_SUBJECTS: Final = frozenset(
    {
        "artifact",
        "branch",
        "build",
        "change",
        "environment",
        "incident",
        "pipelinerun",
        "repository",
        "service",
        "taskrun",
        "testcaserun",
        "testoutput",
        "testsuiterun",
        "ticket",
    }
)


class Outcome(StrEnum):
    """How a run or a task ended, in CDEvents' words."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCEL = "cancel"
    ERROR = "error"


_RESULTS: Final[Mapping[Outcome, RunResult]] = MappingProxyType(
    {
        Outcome.SUCCESS: RunResult.SUCCESS,
        Outcome.FAILURE: RunResult.FAILURE,
        Outcome.CANCEL: RunResult.CANCELLATION,
        Outcome.ERROR: RunResult.ERROR,
    }
)


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What the CloudEvent around it says.

    Args:
        source: Its source.
        id: Its id.
        type: Its type.
        time: Its time, in seconds since the epoch, if it has one.
        traceparent: W3C trace context, if there is a valid one.
    """

    source: str
    id: str
    type: str
    time: float | None
    traceparent: str | None


class Said(NamedTuple):
    """A CDEvent that says something.

    Args:
        type: What it is about.
        payload: What it says.
        time: When it happened, in seconds since the epoch.
    """

    type: EventType
    payload: Payload
    time: float


def is_cdevent(event_type: str) -> bool:
    """Tell whether a CloudEvent's type is a CDEvent's, or in the form of one.

    Args:
        event_type: The type.

    Returns:
        Whether it is.
    """
    return _ANY_TYPE.fullmatch(event_type) is not None


def kind(event_type: str) -> str:
    """Name an unsupported type so that it can be a label.

    Args:
        event_type: A CDEvent's type.

    Returns:
        The subject, where the specification has it; else `OTHER`.
    """
    match = _TYPE.fullmatch(event_type)
    return match["subject"] if match and match["subject"] in _SUBJECTS else OTHER


def translate(envelope: Envelope, data: Mapping[str, object]) -> Said | None:
    """Translate a CDEvent.

    Args:
        envelope: The CloudEvent around it.
        data: The CDEvent.

    Returns:
        What it says; None where that is nothing the gateway uses: another type, a task of no run, an
        incident of no service, an artifact of no change, a change of no repository, an end without outcome.

    Raises:
        RejectedError: It isn't what its type says.
    """
    context = fields.members_of(data.get("context"), "data.context")
    for name, outside in (("id", envelope.id), ("source", envelope.source), ("type", envelope.type)):
        inside = fields.text(context, name, IDENTITY_LIMIT, "data.context.")
        if inside != outside:
            raise reject(
                Reason.INVALID_VALUE, f"data.context.{name}", f"the CloudEvent's own, {outside!r}", inside
            )
    subject = fields.members_of(data.get("subject"), "data.subject")
    subject_id = fields.text(subject, "id", IDENTITY_LIMIT, "data.subject.")
    subject_source = fields.optional_text(subject, "source", IDENTITY_LIMIT, "data.subject.")
    content = fields.members_of(subject.get("content"), "data.subject.content")
    at = _at(envelope, context)
    match = _TYPE.fullmatch(envelope.type)
    translator = _TRANSLATORS.get((match["subject"], match["predicate"])) if match else None
    if translator is None:
        return None
    about = _Subject(subject_id, subject_source or envelope.source, content, at, envelope)
    payload = translator.function(about)
    return Said(translator.type, payload, at) if payload else None


class _Subject(NamedTuple):
    id: str
    source: str
    content: Mapping[str, object]
    at: float
    envelope: Envelope

    def text(self, name: str, limit: int = fields.LABEL_LIMIT) -> str | None:
        return fields.optional_text(self.content, name, limit, "data.subject.content.")

    def reference(self, name: str) -> tuple[str, str] | None:
        """Read a reference to another subject: its id, and its source, the event's own by default."""
        if self.content.get(name) is None:
            return None
        path = f"data.subject.content.{name}"
        members = fields.members_of(self.content[name], path)
        source = fields.optional_text(members, "source", IDENTITY_LIMIT, path + ".")
        return fields.text(members, "id", IDENTITY_LIMIT, path + "."), source or self.envelope.source

    def label(self, name: str) -> str | None:
        """Read the id of a reference that becomes a label."""
        if self.reference(name) is None:
            return None
        members = fields.members_of(self.content[name], name)
        return fields.text(members, "id", at=f"data.subject.content.{name}.")

    def outcome(self) -> RunResult | None:
        if self.content.get("outcome") is None:
            return None
        return _RESULTS[fields.choice(self.content, "outcome", Outcome, "data.subject.content.")]

    def url(self) -> str | None:
        # `url` until 0.4, `uri` since 0.5; it may be relative, which leads nowhere from here.
        given = self.text("uri", URL_LIMIT) or self.text("url", URL_LIMIT)
        return given if given and is_http(given) else None


def _at(envelope: Envelope, context: Mapping[str, object]) -> float:
    if envelope.time is not None:
        return envelope.time
    given = fields.text(context, "timestamp", rfc3339.LIMIT, "data.context.")
    try:
        return rfc3339.seconds(given)
    except ValueError as error:
        raise reject(Reason.INVALID_VALUE, "data.context.timestamp", rfc3339.EXPECTED, given) from error


def _run(phase: Phase) -> Callable[[_Subject], RunUpdate | None]:
    def translate_run(run: _Subject) -> RunUpdate | None:
        result = run.outcome() if phase is Phase.FINISHED else None
        if phase is Phase.FINISHED and result is None:
            return None
        return RunUpdate(
            RunKey(SYSTEM, run.source, run.id),
            phase,
            pipeline=run.text("pipelineName"),
            queued_at=run.at if phase is Phase.QUEUED else None,
            started_at=run.at if phase is Phase.STARTED else None,
            finished_at=run.at if phase is Phase.FINISHED else None,
            result=result,
            url=run.url(),
            traceparent=run.envelope.traceparent,
        )

    return translate_run


def _task(phase: Phase) -> Callable[[_Subject], TaskUpdate | None]:
    def translate_task(task: _Subject) -> TaskUpdate | None:
        parent = task.reference("pipelineRun")
        result = task.outcome() if phase is Phase.FINISHED else None
        if parent is None or (phase is Phase.FINISHED and result is None):
            return None
        run_id, source = parent
        return TaskUpdate(
            RunKey(SYSTEM, source, run_id),
            task.id,
            phase,
            name=task.text("taskName"),
            queued_at=task.at if phase is Phase.QUEUED else None,
            started_at=task.at if phase is Phase.STARTED else None,
            finished_at=task.at if phase is Phase.FINISHED else None,
            result=result,
            url=task.url(),
        )

    return translate_task


def _merged(change: _Subject) -> ChangeMerged | None:
    repository = change.label("repository")
    # CDEvents knows no commit: artifacts refer to a change by its id, and so lead times are found by it.
    return ChangeMerged(repository, change.id, change.at, change_id=change.id) if repository else None


def _artifact(artifact: _Subject) -> ArtifactMade | None:
    change = artifact.reference("change")
    return ArtifactMade(artifact.id, change[0], artifact.at) if change else None


def _service(what: DeploymentKind) -> Callable[[_Subject], Deployed | None]:
    def translate_service(service: _Subject) -> Deployed | None:
        environment = service.label("environment")
        if environment is None:
            raise fields.missing("data.subject.content.environment", "an object")
        envelope = service.envelope
        return Deployed(
            project=fields.text({"id": service.id}, "id", at="data.subject."),
            environment=environment,
            kind=what,
            at=service.at,
            # The same artifact may be deployed again: only the event tells one deployment from the next.
            deployment_id=f"{envelope.source} {envelope.id}",
            revision=service.text("artifactId", IDENTITY_LIMIT),
        )

    return translate_service


def _incident(*, resolved: bool) -> Callable[[_Subject], IncidentUpdate | None]:
    def translate_incident(incident: _Subject) -> IncidentUpdate | None:
        service = incident.label("service")
        environment = incident.label("environment")
        if service is None:
            return None
        artifact = incident.text("artifactId", IDENTITY_LIMIT)
        return IncidentUpdate(
            incident.id, service, incident.at, resolved, environment, None if resolved else artifact
        )

    return translate_incident


class _Translator(NamedTuple):
    type: EventType
    function: Callable[[_Subject], Payload | None]


_TRANSLATORS: Final[Mapping[tuple[str, str], _Translator]] = MappingProxyType(
    {
        ("pipelinerun", "queued"): _Translator(EventType.CD_PIPELINE_RUN, _run(Phase.QUEUED)),
        ("pipelinerun", "started"): _Translator(EventType.CD_PIPELINE_RUN, _run(Phase.STARTED)),
        ("pipelinerun", "finished"): _Translator(EventType.CD_PIPELINE_RUN, _run(Phase.FINISHED)),
        ("taskrun", "queued"): _Translator(EventType.CD_TASK_RUN, _task(Phase.QUEUED)),
        ("taskrun", "started"): _Translator(EventType.CD_TASK_RUN, _task(Phase.STARTED)),
        ("taskrun", "finished"): _Translator(EventType.CD_TASK_RUN, _task(Phase.FINISHED)),
        ("change", "merged"): _Translator(EventType.CD_CHANGE, _merged),
        ("artifact", "packaged"): _Translator(EventType.CD_ARTIFACT, _artifact),
        ("artifact", "published"): _Translator(EventType.CD_ARTIFACT, _artifact),
        ("service", "deployed"): _Translator(EventType.CD_SERVICE, _service(DeploymentKind.DEPLOYED)),
        ("service", "upgraded"): _Translator(EventType.CD_SERVICE, _service(DeploymentKind.DEPLOYED)),
        ("service", "rolledback"): _Translator(EventType.CD_SERVICE, _service(DeploymentKind.ROLLED_BACK)),
        ("incident", "detected"): _Translator(EventType.CD_INCIDENT, _incident(resolved=False)),
        ("incident", "reported"): _Translator(EventType.CD_INCIDENT, _incident(resolved=False)),
        ("incident", "resolved"): _Translator(EventType.CD_INCIDENT, _incident(resolved=True)),
    }
)
"""What each supported type says: a new one is one line here."""
