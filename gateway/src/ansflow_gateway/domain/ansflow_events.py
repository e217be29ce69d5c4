"""AnsFlow's own events: what their `data` says.

Each type is described once, here. The published JSON Schemas, the reader that refuses by name and the fast
decoder all follow these descriptions; unknown members are the readers' business.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ansflow_gateway.domain import rfc3339
from ansflow_gateway.domain.data_types import (
    MAX_DURATION_S,
    Attempt,
    Bytes,
    Codes,
    Count,
    Seconds,
    Text,
    Time,
    Url,
    is_http,
)
from ansflow_gateway.domain.events import (
    EventType,
    IntegrationCall,
    Payload,
    Phase,
    ProjectUsage,
    RunKey,
    RunResult,
    RunUpdate,
    UserActivity,
    WebSocketActivity,
)

SYSTEM: Final = "ansflow"
"""The CI system that such runs belong to."""


class CallStatus(StrEnum):
    """How a call of an integration ended."""

    SUCCESS = "success"
    FAILED = "failed"


class Context(msgspec.Struct, frozen=True, gc=False):
    """What the envelope says that a payload needs.

    Args:
        source: Who sent the event.
        time: When it happened, in seconds since the epoch, if it is said.
        traceparent: W3C trace context of the request that caused it, if there is a valid one.
    """

    source: str
    time: float | None
    traceparent: str | None


class Data(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Base of the descriptions. Members that may be absent may be null, too."""

    def payload(self, context: Context) -> Payload:
        """Make what the event says.

        Args:
            context: The rest of the event.

        Returns:
            The payload.

        Raises:
            InconsistentError: Members contradict each other, or one is no time.
        """
        raise NotImplementedError


class InconsistentError(ValueError):
    """Members that are right by themselves can't be together.

    Args:
        member: The member at fault.
        expected: What would have been accepted.
        absent: Whether the member is absent.
    """

    def __init__(self, member: str, expected: str, *, absent: bool = False) -> None:
        super().__init__(member, expected)
        self.member = member
        self.expected = expected
        self.absent = absent


class _Run(Data):
    run_id: Text
    pipeline: Text
    project: Text

    def _key(self, context: Context, attempt: int | UnsetType | None) -> RunKey:
        return RunKey(SYSTEM, context.source, self.run_id, attempt or 1)


class RunQueued(_Run):
    """A pipeline run was queued."""

    pipeline_type: Text | UnsetType | None = UNSET
    attempt: Attempt | UnsetType | None = UNSET
    queued_at: Time | UnsetType | None = UNSET
    url: Url | UnsetType | None = UNSET
    revision: Text | UnsetType | None = UNSET

    def payload(self, context: Context) -> Payload:
        """See `Data.payload`; it was queued at the event's time where nothing else is said."""
        return RunUpdate(
            self._key(context, self.attempt),
            Phase.QUEUED,
            self.pipeline,
            self.project,
            self.pipeline_type or None,
            queued_at=_time("queued_at", self.queued_at, context.time),
            url=_url(self.url),
            revision=self.revision or None,
            traceparent=context.traceparent,
        )


class RunStarted(_Run):
    """A pipeline run began to execute."""

    pipeline_type: Text | UnsetType | None = UNSET
    attempt: Attempt | UnsetType | None = UNSET
    queued_at: Time | UnsetType | None = UNSET
    started_at: Time | UnsetType | None = UNSET
    url: Url | UnsetType | None = UNSET
    revision: Text | UnsetType | None = UNSET

    def payload(self, context: Context) -> Payload:
        """See `Data.payload`; it started at the event's time where nothing else is said."""
        return RunUpdate(
            self._key(context, self.attempt),
            Phase.STARTED,
            self.pipeline,
            self.project,
            self.pipeline_type or None,
            _time("queued_at", self.queued_at),
            _time("started_at", self.started_at, context.time),
            url=_url(self.url),
            revision=self.revision or None,
            traceparent=context.traceparent,
        )


class RunFinished(_Run):
    """A pipeline run ended; where `duration_s` isn't said, `started_at` and an end must be."""

    result: RunResult
    pipeline_type: Text | UnsetType | None = UNSET
    duration_s: Seconds | UnsetType | None = UNSET
    error_type: Text | UnsetType | None = UNSET
    attempt: Attempt | UnsetType | None = UNSET
    queued_at: Time | UnsetType | None = UNSET
    started_at: Time | UnsetType | None = UNSET
    finished_at: Time | UnsetType | None = UNSET
    url: Url | UnsetType | None = UNSET
    revision: Text | UnsetType | None = UNSET

    def payload(self, context: Context) -> Payload:
        """See `Data.payload`; it ended at the event's time where nothing else is said."""
        started_at = _time("started_at", self.started_at)
        finished_at = _time("finished_at", self.finished_at, context.time)
        duration_s = _number(self.duration_s)
        if duration_s is None:
            _check_span(started_at, finished_at)
        return RunUpdate(
            RunKey(SYSTEM, context.source, self.run_id, self.attempt or 1),
            Phase.FINISHED,
            self.pipeline,
            self.project,
            self.pipeline_type or None,
            _time("queued_at", self.queued_at),
            started_at,
            finished_at,
            self.result,
            duration_s,
            self.error_type or None,
            _url(self.url),
            self.revision or None,
            context.traceparent,
        )


class UserActed(Data):
    """A user did something on the platform."""

    action: Text
    user_type: Text
    user_id: Text | UnsetType | None = UNSET
    """Who it was: taken, and never kept."""

    def payload(self, context: Context) -> Payload:
        """See `Data.payload`."""
        return UserActivity(self.action, self.user_type)


class IntegrationCalled(Data):
    """An external service was called."""

    integration_type: Text
    status: CallStatus
    duration_s: Seconds | UnsetType | None = UNSET
    error_type: Text | UnsetType | None = UNSET

    def payload(self, context: Context) -> Payload:
        """See `Data.payload`."""
        success = self.status is CallStatus.SUCCESS
        return IntegrationCall(
            self.integration_type,
            success,
            _number(self.duration_s),
            None if success else self.error_type or None,
        )


class ProjectUsed(Data):
    """A project used resources since it was last told, and holds some now."""

    project: Text
    cpu_s: Seconds | UnsetType | None = UNSET
    network_bytes: Bytes | UnsetType | None = UNSET
    storage_bytes: Bytes | UnsetType | None = UNSET
    memory_bytes: Bytes | UnsetType | None = UNSET

    def payload(self, context: Context) -> Payload:
        """See `Data.payload`."""
        return ProjectUsage(
            self.project,
            _number(self.cpu_s),
            _number(self.network_bytes),
            _number(self.storage_bytes),
            _number(self.memory_bytes),
        )


class WebSocketUsed(Data):
    """WebSocket connections of a service, since it last told."""

    endpoint: Text
    opened: Count | UnsetType | None = UNSET
    closed: Codes | UnsetType | None = UNSET
    sent: Count | UnsetType | None = UNSET
    received: Count | UnsetType | None = UNSET

    def payload(self, context: Context) -> Payload:
        """See `Data.payload`."""
        return WebSocketActivity(
            self.endpoint, self.opened or 0, self.closed or {}, self.sent or 0, self.received or 0
        )


DATA: Final[Mapping[EventType, type[Data]]] = MappingProxyType(
    {
        EventType.PIPELINE_RUN_QUEUED: RunQueued,
        EventType.PIPELINE_RUN_STARTED: RunStarted,
        EventType.PIPELINE_RUN_FINISHED: RunFinished,
        EventType.USER_ACTIVITY: UserActed,
        EventType.INTEGRATION_CALL: IntegrationCalled,
        EventType.PROJECT_USAGE: ProjectUsed,
        EventType.WEBSOCKET_ACTIVITY: WebSocketUsed,
    }
)
"""The description of each type: a new type is one class and one line here."""


def _number(given: float | UnsetType | None) -> float | None:
    return given if isinstance(given, float) else None


def _time(member: str, given: str | UnsetType | None, otherwise: float | None = None) -> float | None:
    if not given:
        return otherwise
    try:
        return rfc3339.seconds(given)
    except ValueError as error:
        raise InconsistentError(member, rfc3339.EXPECTED) from error


def _url(given: str | UnsetType | None) -> str | None:
    if not given:
        return None
    if not is_http(given):
        raise InconsistentError("url", "a URL of http or https")
    return given


def _check_span(started_at: float | None, finished_at: float | None) -> None:
    expected = f"a number from 0 to {MAX_DURATION_S:g}, or started_at and finished_at"
    if started_at is None or finished_at is None:
        raise InconsistentError("duration_s", expected, absent=True)
    if not 0 <= finished_at - started_at <= MAX_DURATION_S:
        raise InconsistentError("finished_at", f"a time from 0 to {MAX_DURATION_S:g} s after started_at")
