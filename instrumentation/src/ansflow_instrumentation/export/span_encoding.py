"""Spans as OTLP protobuf, without an object for each field.

The stock encoder builds a protobuf message for each attribute and hashes the resource for each span. Most
attributes of most spans were sent before, so here each key and value is encoded once and remembered, and a
span is a handful of byte strings joined. What is rare (events, links, values that are no scalar) is encoded
by the stock code. The bytes mean the same: a test compares the two on arbitrary spans.

Source:
    https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
    https://protobuf.dev/programming-guides/encoding/
"""

import time
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any

from opentelemetry.exporter.otlp.proto.common._internal import (
    _encode_instrumentation_scope,
    _encode_key_value,
    _encode_resource,
)
from opentelemetry.exporter.otlp.proto.common._internal.trace_encoder import _SPAN_KIND_MAP, _encode_span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, Status

from ansflow_instrumentation.spans.fast import UNSET
from ansflow_instrumentation.spans.sdk import NO_STATE

__all__ = ["encode"]

BREATH = 64
"""Spans after which the interpreter is offered to other threads: some 0.3 ms, where the default is 5 ms."""

MAX_REMEMBERED = 4096
"""Encoded attributes that are kept. Then all are forgotten: cheaper than to know the oldest."""

LONGEST_REMEMBERED = 256
"""Bytes of a value that is kept: a megabyte or two in all."""

_TIMES = Struct("<BQBQ").pack
_START, _END = 0x39, 0x41
_KINDS = {kind: bytes((0x30, number)) for kind, number in _SPAN_KIND_MAP.items()}
SERVER, CLIENT = SpanKind.SERVER, SpanKind.CLIENT
_SERVER, _CLIENT = _KINDS[SERVER], _KINDS[CLIENT]
_LOCAL_PARENT = b"\x85\x01" + (0x100).to_bytes(4, "little")
_REMOTE_PARENT = b"\x85\x01" + (0x300).to_bytes(4, "little")
_NO_STATUS = b"\x7a\x00"

_strings: dict[tuple[str, str], bytes] = {}
_scalars: dict[tuple[str, type, object], bytes] = {}


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Encode spans.

    Args:
        spans: Ended spans, of any resource and instrumentation scope.

    Returns:
        A serialized `ExportTraceServiceRequest`.
    """
    # By identity: all spans of a process share these objects, and a resource's hash is made from its text.
    groups: dict[tuple[int, int], tuple[Resource, InstrumentationScope | None, list[bytes]]] = {}
    for number, span in enumerate(spans, start=1):
        resource, scope = span.resource, span.instrumentation_scope
        group = groups.get((id(resource), id(scope)))
        if group is None:
            group = groups[id(resource), id(scope)] = (resource, scope, [])
        group[2].append(_span(span))
        if number % BREATH == 0:
            time.sleep(0)
    return b"".join(_field(0x0A, _resource_spans(*group)) for group in groups.values())


def _resource_spans(resource: Resource, scope: InstrumentationScope | None, spans: Sequence[bytes]) -> bytes:
    scope_parts = [_field(0x0A, _encode_instrumentation_scope(scope).SerializeToString())]  # type: ignore[arg-type] # takes None
    scope_parts += [_field(0x12, span) for span in spans]
    if scope is not None and scope.schema_url:
        scope_parts.append(_field(0x1A, scope.schema_url.encode()))
    parts = [_field(0x0A, _encode_resource(resource).SerializeToString())]
    parts.append(_field(0x12, b"".join(scope_parts)))
    if resource.schema_url:
        parts.append(_field(0x1A, resource.schema_url.encode()))
    return b"".join(parts)


def _span(span: ReadableSpan) -> bytes:
    context, events, links = span._context, span._events, span._links
    if events or links or context is None or span._start_time is None or span._end_time is None:
        stock: bytes = _encode_span(span).SerializeToString()
        return stock
    name = span._name.encode()
    parts = [
        b"\x0a\x10",
        context.trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        context.span_id.to_bytes(8, "big"),
    ]
    state = context.trace_state
    if state is not NO_STATE and state:
        parts.append(_field(0x1A, ",".join(f"{k}={v}" for k, v in state.items()).encode()))
    parent = span._parent
    flags = _LOCAL_PARENT
    if parent is not None:
        parts.append(b"\x22\x08" + parent.span_id.to_bytes(8, "big"))
        if parent.is_remote:
            flags = _REMOTE_PARENT
    parts.append(b"\x2a" + _varint(len(name)) + name)
    kind = span._kind
    parts.append(_SERVER if kind is SERVER else _CLIENT if kind is CLIENT else _KINDS[kind])
    parts.append(_TIMES(_START, span._start_time, _END, span._end_time))
    attributes = span._attributes
    if type(attributes) is dict:
        _append_attributes(parts, attributes)
    elif attributes:
        _append_attributes(parts, getattr(attributes, "_dict", attributes))
        if dropped := span.dropped_attributes:
            parts.append(b"\x50" + _varint(dropped))
    # A tuple has dropped nothing.
    if type(events) is not tuple and (dropped := span.dropped_events):
        parts.append(b"\x60" + _varint(dropped))
    if type(links) is not tuple and (dropped := span.dropped_links):
        parts.append(b"\x70" + _varint(dropped))
    status = span._status
    parts.append(_NO_STATUS if status is UNSET else _encoded_status(status))
    parts.append(flags)
    return b"".join(parts)


def _append_attributes(parts: list[bytes], attributes: Mapping[str, Any]) -> None:
    for key, value in attributes.items():
        kind = value.__class__
        if kind is str:
            encoded = _strings.get((key, value)) or _remember_string(key, value)
        elif kind is int or kind is bool:
            # 1 and True are equal, and not the same. (Nor are 0.0 and -0.0: floats are not remembered.)
            encoded = _scalars.get((key, kind, value)) or _remember_scalar(key, kind, value)
        else:
            encoded = _attribute(key, value)
        parts.append(encoded)


def _remember_string(key: str, value: str) -> bytes:
    text = value.encode()
    content = _field(0x0A, key.encode()) + _field(0x12, b"\x0a" + _varint(len(text)) + text)
    encoded = b"\x4a" + _varint(len(content)) + content
    if len(text) <= LONGEST_REMEMBERED:
        if len(_strings) >= MAX_REMEMBERED:
            _strings.clear()
        _strings[key, value] = encoded
    return encoded


def _remember_scalar(key: str, kind: type, value: object) -> bytes:
    if len(_scalars) >= MAX_REMEMBERED:
        _scalars.clear()
    encoded = _scalars[key, kind, value] = _attribute(key, value)
    return encoded


def _attribute(key: str, value: object) -> bytes:
    return _field(0x4A, _encode_key_value(key, value).SerializeToString())


def _encoded_status(status: Status) -> bytes:
    code = status.status_code.value
    if not code and not status.description:
        return _NO_STATUS
    description = _field(0x12, status.description.encode()) if status.description else b""
    return _field(0x7A, description + (bytes((0x18, code)) if code else b""))


def _field(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + _varint(len(content)) + content


def _encode_varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_VARINTS = tuple(map(_encode_varint, range(2048)))


def _varint(number: int) -> bytes:
    return _VARINTS[number] if number < 2048 else _encode_varint(number)
