"""The fast way from a body to events: for the frequent kinds, where nothing is the matter.

It takes AnsFlow's own events without unknown members, and gives up on everything else: the strict way
(`strict_json`, `cloudevents`) then takes the body, or refuses it by name. What is taken here, the strict way
takes too, and makes equal events of it. msgspec sees to types, ranges and lengths, by the descriptions in
`ansflow_events`; two checks of the whole body see to what msgspec lets pass:

- *What texts may hold.* Without a backslash there are no escapes, so the bytes are the texts: their
  characters are tested all at once.
- *Names given twice*, of which msgspec takes the last. Without escapes each `"` begins or ends a name or a
  text. As only known members are taken, encoding what was decoded writes each of them once: it has as many
  `"` as the body if and only if no name came twice.
"""

from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ansflow_gateway.domain import ansflow_events as ae
from ansflow_gateway.domain import cloudevents, rfc3339
from ansflow_gateway.domain.events import Event, EventType
from ansflow_gateway.domain.fields import FORBIDDEN
from ansflow_gateway.domain.trace_context import traceparent

_Identity = Annotated[str, Meta(min_length=1, max_length=cloudevents.IDENTITY_LIMIT)]
_Time = Annotated[str, Meta(min_length=1, max_length=rfc3339.LIMIT)] | UnsetType | None
_ContentType = (
    Annotated[str, Meta(min_length=1, max_length=cloudevents.CONTENT_TYPE_LIMIT)] | UnsetType | None
)
_Attribute = str | UnsetType | None
_SPACE: Final = {ord(space): " " for space in "\t\n\r"}


class _Envelope(msgspec.Struct, gc=False, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """A CloudEvent: the attributes of the specification, and the extensions that are frequent."""

    event_type: ClassVar[EventType]
    specversion: Literal["1.0"]
    id: _Identity
    source: _Identity
    time: _Time = UNSET
    datacontenttype: _ContentType = UNSET
    subject: _Attribute = UNSET
    dataschema: _Attribute = UNSET
    partitionkey: _Attribute = UNSET
    traceparent: _Attribute = UNSET
    tracestate: _Attribute = UNSET


class _RunQueued(_Envelope, tag=EventType.PIPELINE_RUN_QUEUED.value):
    event_type = EventType.PIPELINE_RUN_QUEUED
    data: ae.RunQueued


class _RunStarted(_Envelope, tag=EventType.PIPELINE_RUN_STARTED.value):
    event_type = EventType.PIPELINE_RUN_STARTED
    data: ae.RunStarted


class _RunFinished(_Envelope, tag=EventType.PIPELINE_RUN_FINISHED.value):
    event_type = EventType.PIPELINE_RUN_FINISHED
    data: ae.RunFinished


class _UserActed(_Envelope, tag=EventType.USER_ACTIVITY.value):
    event_type = EventType.USER_ACTIVITY
    data: ae.UserActed


class _IntegrationCalled(_Envelope, tag=EventType.INTEGRATION_CALL.value):
    event_type = EventType.INTEGRATION_CALL
    data: ae.IntegrationCalled


class _ProjectUsed(_Envelope, tag=EventType.PROJECT_USAGE.value):
    event_type = EventType.PROJECT_USAGE
    data: ae.ProjectUsed


class _WebSocketUsed(_Envelope, tag=EventType.WEBSOCKET_ACTIVITY.value):
    event_type = EventType.WEBSOCKET_ACTIVITY
    data: ae.WebSocketUsed


Known = (
    _RunQueued | _RunStarted | _RunFinished | _UserActed | _IntegrationCalled | _ProjectUsed | _WebSocketUsed
)
"""An event as it was decoded; `event` makes the gateway's own of it."""

_ONE: Final = msgspec.json.Decoder(Known)
_BATCH: Final = msgspec.json.Decoder(list[Known])
_ENCODE: Final = msgspec.json.Encoder().encode


def decode_one(body: bytes) -> Known | None:
    """Decode a body that may hold one event.

    Args:
        body: The body.

    Returns:
        The event; None where the strict way has to judge.
    """
    if not _plain(body):
        return None
    try:
        known = _ONE.decode(body)
    except msgspec.DecodeError:  # what isn't valid is one of these, too
        return None
    return known if _no_name_twice(body, known) else None


def decode_batch(body: bytes) -> list[Known] | None:
    """Decode a body that may hold a batch.

    Args:
        body: The body.

    Returns:
        The events; None where the strict way has to judge the whole.
    """
    if not _plain(body):
        return None
    try:
        known = _BATCH.decode(body)
    except msgspec.DecodeError:
        return None
    return known if _no_name_twice(body, known) else None


def event(known: Known) -> Event | None:
    """Make an event of what was decoded.

    Args:
        known: What was decoded.

    Returns:
        The event; None where the strict way has to judge.
    """
    try:
        time = rfc3339.seconds(known.time) if known.time else None
        payload = known.data.payload(ae.Context(known.source, time, traceparent(known.traceparent)))
    except ValueError:
        return None
    if known.datacontenttype and not cloudevents.is_json(known.datacontenttype):
        return None
    return Event(known.source, known.id, known.event_type, payload, time)


def _plain(body: bytes) -> bool:
    if b"\\" in body:
        return False
    if body.isascii():
        return b"\x7f" not in body  # below it, JSON itself forbids the controls within texts
    try:
        # JSON takes these controls for space between members, and forbids them within texts.
        return FORBIDDEN.search(body.decode().translate(_SPACE)) is None
    except UnicodeDecodeError:
        return False


def _no_name_twice(body: bytes, decoded: object) -> bool:
    return _ENCODE(decoded).count(b'"') == body.count(b'"')
