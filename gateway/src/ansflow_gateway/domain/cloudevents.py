"""CloudEvents 1.0 in the JSON event format, validated strictly into the gateway's own events.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ansflow_gateway.domain import fields, strict_json
from ansflow_gateway.domain.events import Event, EventType, PipelineRunFinished, RunResult, UserActivity
from ansflow_gateway.domain.rejection import Reason, reject

IDENTITY_LIMIT: Final = 512
"""Longest `id` and `source`, in characters."""

MAX_DURATION_S: Final = 1e9
"""Longest duration taken, about 31 years: a sum of a billion of them is still exact enough, and finite."""

DEFAULT_PIPELINE_TYPE: Final = "pipeline"

_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)  # RFC 3339, 5.6
_ATTRIBUTE_NAME: Final = re.compile(r"[a-z0-9]+", re.ASCII)
_PAYLOAD_NAMES: Final = frozenset({"data", "data_base64"})


class _SpecVersion(StrEnum):
    V1 = "1.0"


def parse(item: object) -> Event:
    """Validate one decoded CloudEvent.

    Unknown members of `data` are left alone, so that publishers may add some; unknown context attributes are
    extensions.

    Args:
        item: The decoded JSON value.

    Returns:
        The event.

    Raises:
        RejectedError: Naming the field, what was expected and what came.
    """
    strict_json.inspect(item)
    if not isinstance(item, dict):
        raise reject(Reason.WRONG_TYPE, "body", "a CloudEvent: an object", item)
    _check_attributes(item)
    fields.choice(item, "specversion", _SpecVersion)
    identity = fields.text(item, "id", IDENTITY_LIMIT)
    source = fields.text(item, "source", IDENTITY_LIMIT)
    event_type = _event_type(item)
    time = _time(item)
    _check_content_type(item)
    data = fields.members_of(item.get("data"), "data")
    return Event(source, identity, event_type, time, _PAYLOADS[event_type](data))


def _check_attributes(item: Mapping[str, object]) -> None:
    if item.get("data_base64") is not None:
        raise reject(
            Reason.INVALID_VALUE, "data_base64", "the payload as a JSON object in data", item["data_base64"]
        )
    for name, value in item.items():
        if name in _PAYLOAD_NAMES:
            continue
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise reject(Reason.INVALID_VALUE, name, "an attribute's name of a-z and 0-9", name)
        if isinstance(value, dict | list | float):
            raise reject(Reason.WRONG_TYPE, name, "a string, an integer or a boolean", value)


def _event_type(item: Mapping[str, object]) -> EventType:
    given = fields.text(item, "type", IDENTITY_LIMIT)
    try:
        return EventType(given)
    except ValueError as error:
        raise reject(Reason.UNKNOWN_EVENT_TYPE, "type", "one of " + ", ".join(EventType), given) from error


def _time(item: Mapping[str, object]) -> datetime | None:
    given = fields.optional_text(item, "time", 64)
    if given is None:
        return None
    expected = "a time of RFC 3339, such as 2026-01-31T12:00:00Z"
    if not _TIME.fullmatch(given):
        raise reject(Reason.INVALID_VALUE, "time", expected, given)
    try:
        return datetime.fromisoformat(given.upper())
    except ValueError as error:
        raise reject(Reason.INVALID_VALUE, "time", expected, given) from error


def _check_content_type(item: Mapping[str, object]) -> None:
    given = fields.optional_text(item, "datacontenttype")
    if given is None:
        return
    essence = given.partition(";")[0].strip().lower()
    if essence != "application/json" and not essence.endswith("+json"):
        raise reject(Reason.INVALID_VALUE, "datacontenttype", "application/json", given)


def _pipeline_run_finished(data: Mapping[str, object]) -> PipelineRunFinished:
    at = "data."
    return PipelineRunFinished(
        run_id=fields.text(data, "run_id", at=at),
        pipeline=fields.text(data, "pipeline", at=at),
        project=fields.text(data, "project", at=at),
        pipeline_type=fields.optional_text(data, "pipeline_type", at=at) or DEFAULT_PIPELINE_TYPE,
        result=fields.choice(data, "result", RunResult, at=at),
        duration_s=fields.number(data, "duration_s", MAX_DURATION_S, at=at),
        error_type=fields.optional_text(data, "error_type", at=at),
    )


def _user_activity(data: Mapping[str, object]) -> UserActivity:
    fields.optional_text(data, "user_id", at="data.")
    return UserActivity(
        action=fields.text(data, "action", at="data."), user_type=fields.text(data, "user_type", at="data.")
    )


_PAYLOADS: Final[Mapping[EventType, Callable[[Mapping[str, object]], PipelineRunFinished | UserActivity]]] = (
    MappingProxyType(
        {EventType.PIPELINE_RUN_FINISHED: _pipeline_run_finished, EventType.USER_ACTIVITY: _user_activity}
    )
)
"""One row a known type: a new type is one function and one line here."""
