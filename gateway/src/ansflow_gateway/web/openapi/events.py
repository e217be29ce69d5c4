"""The OpenAPI document's part about `POST /v1/events`."""

from collections.abc import Mapping
from typing import Any, Final

from ansflow_gateway.domain.rejection import SHED, Reason
from ansflow_gateway.web import problem
from ansflow_gateway.web.openapi.parts import (
    BODY_REFUSALS,
    COUNT,
    JSON,
    TEXT,
    TOKEN_REFUSALS,
    Part,
    answer,
    header,
    ref,
    refusals,
)
from ansflow_gateway.web.schemas import SCHEMAS as DATA_SCHEMAS


def _envelope(event_type: Mapping[str, Any], data: Mapping[str, Any]) -> Part:
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": TEXT,
            "source": TEXT,
            "type": event_type,
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": JSON},
            "traceparent": {"type": "string"},
            "data": data,
        },
    }


def _named(event_type: str) -> str:
    """Name a type's schema among the components."""
    return "".join(part.capitalize() for part in event_type.removeprefix("dev.ansflow.").split("."))


_CD_DATA: Final = {
    "title": "A CDEvent: https://cdevents.dev",
    "type": "object",
    "required": ["context", "subject"],
    "properties": {
        "context": {
            "type": "object",
            "required": ["id", "source", "type", "timestamp"],
            "properties": {
                "id": TEXT,
                "source": TEXT,
                "type": TEXT,
                "timestamp": {"type": "string", "format": "date-time"},
            },
        },
        "subject": {
            "type": "object",
            "required": ["id", "content"],
            "properties": {"id": TEXT, "source": TEXT, "content": {"type": "object"}},
        },
    },
}

_VERDICTS: Final = ("accepted", "duplicate", "unsupported")
_COUNTS: Final = (*_VERDICTS, "rejected")

SCHEMAS: Final[Mapping[str, Any]] = {
    **{
        f"{_named(event_type)}Data": {
            name: value for name, value in schema.items() if not name.startswith("$")
        }
        for event_type, schema in DATA_SCHEMAS.items()
    },
    **{
        _named(event_type): _envelope({"const": event_type}, ref(f"{_named(event_type)}Data"))
        for event_type in DATA_SCHEMAS
    },
    "CdEventData": _CD_DATA,
    "CdEvent": _envelope(
        {"type": "string", "pattern": r"^dev\.cdevents\.[a-z]+\.[a-z]+\.0\.[0-9]+\.[0-9]+$"},
        ref("CdEventData"),
    ),
    "Event": {"anyOf": [*(ref(_named(event_type)) for event_type in DATA_SCHEMAS), ref("CdEvent")]},
    "Verdict": {
        "title": "What became of one event",
        "type": "object",
        "required": ["id", "verdict"],
        "properties": {"id": {"type": "string"}, "verdict": {"enum": list(_VERDICTS)}},
    },
    "BatchVerdict": {
        "title": "What became of a batch",
        "type": "object",
        "required": [*_COUNTS, "items"],
        "properties": {
            **dict.fromkeys(_COUNTS, COUNT),
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "verdict"],
                    "properties": {
                        "index": COUNT,
                        "verdict": {"enum": list(_COUNTS)},
                        "id": {"type": "string"},
                        "problem": ref("Rejection"),
                    },
                },
            },
        },
    },
}
"""Schemas of events, and of what is answered to them."""

_PARAMETERS: Final = [
    header(
        "Prefer",
        {"type": "string", "examples": ["return=minimal"]},
        "With `return=minimal` (RFC 7240) the answer to a batch lists the refused items alone.",
    ),
    header("Content-Encoding", {"enum": ["gzip", "identity"]}, "How the body is coded."),
    header("ce-specversion", {"const": "1.0"}, "In binary mode, needed like the other three attributes."),
    header("ce-id", TEXT),
    header("ce-source", TEXT),
    header("ce-type", {"enum": list(DATA_SCHEMAS)}, "Or a CDEvent's."),
    header("ce-time", {"type": "string", "format": "date-time"}),
    header("ce-traceparent", {"type": "string"}, "Any attribute may come as a header: ce- and its name."),
]

_PROBLEMS: Final = refusals(
    *BODY_REFUSALS, Reason.UNKNOWN_EVENT_TYPE, *TOKEN_REFUSALS, *sorted(SHED, reverse=True)
)

PATHS: Final[Mapping[str, Part]] = {
    "/v1/events": {
        "post": {
            "operationId": "postEvents",
            "summary": "Take CloudEvents in",
            "description": "One, a batch, or one in binary mode: `ce-` headers, and JSON data as the body. "
            "Once it is answered 2xx, an event is stored; sent again, it counts once.",
            "security": [{"bearer": ["events:write"]}, {}],
            "parameters": _PARAMETERS,
            "requestBody": {
                "required": True,
                "description": "At most 1 MiB, inflated too, and at most 16 levels deep.",
                "content": {
                    "application/cloudevents+json": {"schema": ref("Event")},
                    "application/cloudevents-batch+json": {
                        "schema": {"type": "array", "items": ref("Event"), "maxItems": 10_000}
                    },
                    JSON: {
                        "schema": {
                            "anyOf": [
                                *(ref(f"{_named(event_type)}Data") for event_type in DATA_SCHEMAS),
                                ref("CdEventData"),
                            ]
                        }
                    },
                },
            },
            "responses": {
                "200": answer(
                    "One event: it was known, or isn't used, and changed nothing. "
                    "A batch: no item was refused.",
                    {JSON: {"anyOf": [ref("Verdict"), ref("BatchVerdict")]}},
                    "Preference-Applied",
                ),
                "202": answer("The event is new: it is stored, and counted once.", {JSON: ref("Verdict")}),
                "207": answer(
                    "Some items of the batch were refused.",
                    {JSON: ref("BatchVerdict")},
                    "Preference-Applied",
                ),
                **_PROBLEMS,
                "422": answer(
                    f"{_PROBLEMS['422']['description']}. Each item of a batch was.",
                    {problem.CONTENT_TYPE: ref("Rejection"), JSON: ref("BatchVerdict")},
                    "Preference-Applied",
                ),
            },
        }
    }
}
"""The path, with its operation."""
