"""CloudEvents 1.0 in the JSON event format, validated strictly into the gateway's own events.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from ansflow_gateway.domain import ansflow_events, cdevents, described, fields, rfc3339, strict_json
from ansflow_gateway.domain.ansflow_events import Context, InconsistentError
from ansflow_gateway.domain.events import Event, EventType, Payload
from ansflow_gateway.domain.rejection import Reason, reject
from ansflow_gateway.domain.trace_context import traceparent

IDENTITY_LIMIT: Final = 512
"""Longest `id` and `source`, in characters."""

CONTENT_TYPE_LIMIT: Final = fields.LABEL_LIMIT
"""Longest `datacontenttype`, in characters."""

_ATTRIBUTE_NAME: Final = re.compile(r"[a-z0-9]+", re.ASCII)
_PAYLOAD_NAMES: Final = frozenset({"data", "data_base64"})
_KNOWN: Final = f"one of {', '.join(ansflow_events.DATA)}, or a CDEvent's"


class SpecVersion(StrEnum):
    """Versions of CloudEvents that are taken."""

    V1 = "1.0"


class Unsupported(msgspec.Struct, frozen=True, gc=False):
    """A valid event that says nothing the gateway uses.

    Args:
        id: Its id.
        system: Whose event it is.
        kind: What it is about, out of a closed set.
    """

    id: str
    system: str
    kind: str


def parse(item: object) -> Event | Unsupported:
    """Validate one decoded CloudEvent.

    Unknown members of `data` are left alone, so that publishers may add some; unknown context attributes are
    extensions.

    Args:
        item: The decoded JSON value.

    Returns:
        The event, or what there is to say of one that is valid and isn't used.

    Raises:
        RejectedError: Naming the field, what was expected and what came.
    """
    strict_json.inspect(item)
    if not isinstance(item, dict):
        raise reject(Reason.WRONG_TYPE, "body", "a CloudEvent: an object", item)
    _check_attributes(item)
    fields.choice(item, "specversion", SpecVersion)
    identity = fields.text(item, "id", IDENTITY_LIMIT)
    source = fields.text(item, "source", IDENTITY_LIMIT)
    given_type = fields.text(item, "type", IDENTITY_LIMIT)
    event_type = _own_type(given_type)
    time = _time(item)
    _check_content_type(item)
    data = fields.members_of(item.get("data"), "data")
    trace = traceparent(item.get("traceparent"))
    if event_type is not None:
        context = Context(source, time, trace)
        return Event(source, identity, event_type, _payload(event_type, context, data), time)
    said = cdevents.translate(cdevents.Envelope(source, identity, given_type, time, trace), data)
    if said is None:
        return Unsupported(identity, cdevents.SYSTEM, cdevents.kind(given_type))
    return Event(source, identity, said.type, said.payload, said.time)


def _own_type(given: str) -> EventType | None:
    """Find AnsFlow's type; None for a CDEvent's."""
    if cdevents.is_cdevent(given):
        return None
    try:
        event_type = EventType(given)
    except ValueError as error:
        raise reject(Reason.UNKNOWN_EVENT_TYPE, "type", _KNOWN, given) from error
    if event_type not in ansflow_events.DATA:  # webhooks' types, which no CloudEvent has
        raise reject(Reason.UNKNOWN_EVENT_TYPE, "type", _KNOWN, given)
    return event_type


def _payload(event_type: EventType, context: Context, data: Mapping[str, object]) -> Payload:
    read = described.read(ansflow_events.DATA[event_type], data, "data.")
    try:
        return read.payload(context)
    except InconsistentError as error:
        path = f"data.{error.member}"
        if error.absent:
            raise fields.missing(path, error.expected) from error
        raise reject(Reason.INVALID_VALUE, path, error.expected, data.get(error.member)) from error


def _check_attributes(item: Mapping[str, object]) -> None:
    if item.get("data_base64") is not None:
        raise reject(
            Reason.INVALID_VALUE, "data_base64", "the payload as a JSON object in data", item["data_base64"]
        )
    for name, value in item.items():
        if name in _PAYLOAD_NAMES:
            continue
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise reject(Reason.INVALID_VALUE, name or "body", "an attribute's name of a-z and 0-9", name)
        if isinstance(value, dict | list | float):
            raise reject(Reason.WRONG_TYPE, name, "a string, an integer or a boolean", value)


def _time(item: Mapping[str, object]) -> float | None:
    given = fields.optional_text(item, "time", rfc3339.LIMIT)
    if given is None:
        return None
    try:
        return rfc3339.seconds(given)
    except ValueError as error:
        raise reject(Reason.INVALID_VALUE, "time", rfc3339.EXPECTED, given) from error


def is_json(content_type: str) -> bool:
    """Tell whether a content type is JSON.

    Args:
        content_type: The content type, parameters included.

    Returns:
        Whether it is `application/json` or ends in `+json`.
    """
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def _check_content_type(item: Mapping[str, object]) -> None:
    given = fields.optional_text(item, "datacontenttype", CONTENT_TYPE_LIMIT)
    if given is not None and not is_json(given):
        raise reject(Reason.INVALID_VALUE, "datacontenttype", "application/json", given)
