"""In which of its modes a request carries CloudEvents, and the binary one.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3-http-message-mapping
"""

import re
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote_to_bytes

from aiohttp import web

from ansflow_gateway.domain import cloudevents, strict_json
from ansflow_gateway.domain.rejection import Reason, explain, reject

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_PREFIX: Final = "ce-"
_EXPECTED: Final = f"{STRUCTURED}, {BATCH}, or JSON data and ce- headers"
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
# They come as the body, and as its content type.
_NOT_HEADERS: Final = frozenset({"data", "data_base64", "datacontenttype"})


class Mode(Enum):
    """How a request carries events."""

    STRUCTURED = auto()
    BATCH = auto()
    BINARY = auto()


def mode_of(request: web.Request) -> Mode:
    """Tell how a request carries events.

    Args:
        request: The request.

    Returns:
        The mode.

    Raises:
        RejectedError: `unsupported_media_type`: it carries none, or not in JSON in UTF-8.
    """
    given = request.headers.get("Content-Type", "")
    essence = request.content_type if given else ""
    if essence == STRUCTURED:
        mode = Mode.STRUCTURED
    elif essence == BATCH:
        mode = Mode.BATCH
    elif not essence.startswith("application/cloudevents") and _is_binary(request, essence):
        mode = Mode.BINARY
    else:
        raise reject(Reason.UNSUPPORTED_MEDIA_TYPE, "content-type", _EXPECTED, given or None)
    charset = request.charset or "utf-8"
    if charset.lower() not in {"utf-8", "utf8"}:
        raise reject(Reason.UNSUPPORTED_MEDIA_TYPE, "content-type", "charset utf-8", given)
    return mode


def binary_event(request: web.Request, body: bytes) -> dict[str, object]:
    """Put an event in binary mode together, as its structured form would be.

    Args:
        request: The request, whose headers are the attributes.
        body: Its data.

    Returns:
        The decoded event, not yet validated.

    Raises:
        RejectedError: `invalid_value` for a header that can't be decoded, comes twice, or is no attribute;
            whatever `strict_json.decode` raises about the data.
    """
    event: dict[str, object] = {}
    for header, value in request.headers.items():
        name = header.lower()
        if not name.startswith(_PREFIX):
            continue
        attribute = name.removeprefix(_PREFIX)
        if attribute in event:
            raise explain(Reason.INVALID_VALUE, name, "a header that comes once", "two of it")
        if attribute in _NOT_HEADERS:
            raise reject(Reason.INVALID_VALUE, name, "data as the body and its type as content-type", value)
        event[attribute] = _decoded(name, value)
    event["datacontenttype"] = request.headers["Content-Type"]
    event["data"] = strict_json.decode(body)
    return event


def _is_binary(request: web.Request, essence: str) -> bool:
    return cloudevents.is_json(essence) and any(
        header.lower().startswith(_PREFIX) for header in request.headers
    )


def _decoded(name: str, value: str) -> str:
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        value = _QUOTED_PAIR.sub(r"\1", value[1:-1])  # RFC 7230, 3.2.6
    if _BAD_ESCAPE.search(value):
        raise reject(Reason.INVALID_VALUE, name, "percent-encoded UTF-8", value)
    try:
        return unquote_to_bytes(value.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise reject(Reason.INVALID_VALUE, name, "percent-encoded UTF-8", value) from error
