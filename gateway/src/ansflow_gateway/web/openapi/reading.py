"""The OpenAPI document's part about what only shows: health, metrics, schemas, the status page."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ansflow_gateway.web.health import CONTENT_TYPE as HEALTH
from ansflow_gateway.web.openapi.parts import (
    JSON,
    JSON_OBJECT,
    TOKEN_REFUSALS,
    Part,
    answer,
    failure,
    header,
    ref,
    refusals,
)
from ansflow_gateway.web.schemas import CONTENT_TYPE as JSON_SCHEMA
from ansflow_gateway.web.schemas import SCHEMAS as DATA_SCHEMAS

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
_STATUS: Final = {"enum": ["pass", "warn", "fail"]}

SCHEMAS: Final[Mapping[str, Any]] = {
    "Health": {
        "title": "Health (draft-inadarei-api-health-check-06)",
        "type": "object",
        "required": ["status", "version", "serviceId"],
        "properties": {
            "status": _STATUS,
            "version": _TEXT,
            "serviceId": _TEXT,
            "checks": {
                "type": "object",
                "additionalProperties": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["componentType", "status", "time"],
                        "properties": {
                            "componentType": _TEXT,
                            "status": _STATUS,
                            "time": {"type": "string", "format": "date-time"},
                            "observedValue": {"type": "number"},
                            "observedUnit": _TEXT,
                            "output": _TEXT,
                        },
                    },
                },
            },
        },
    },
    "Index": {
        "title": "What is here",
        "type": "object",
        "required": ["service", "version", "endpoints"],
        "properties": {"service": _TEXT, "version": _TEXT, "endpoints": _TEXTS},
    },
    "SchemaPaths": {
        "title": "The schemas' paths, by type of event",
        "type": "object",
        "required": ["schemas"],
        "properties": {"schemas": _TEXTS},
    },
}
"""Schemas of what is shown."""

_SCRAPER: Final = [{"bearer": ["metrics:read"]}, {"basic": ["metrics:read"]}, {}]
_READER: Final = [{"bearer": ["status:read"]}, {"basic": ["status:read"]}, {}]


def _get(operation: str, summary: str, responses: Part, security: Sequence[Part], *parameters: Part) -> Part:
    guarded = refusals(*TOKEN_REFUSALS) if security else {}
    parts: Part = {"operationId": operation, "summary": summary, "security": security}
    if parameters:
        parts["parameters"] = [*parameters]
    return {"get": {**parts, "responses": {**responses, **guarded}}}


def _health(operation: str, summary: str, *, fails: bool = True) -> Part:
    responses = {"200": answer("All that counts here works.", {HEALTH: ref("Health")})}
    if fails:
        responses["503"] = answer("Something that counts here doesn't.", {HEALTH: ref("Health")})
    return _get(operation, summary, responses, [])


def _shown(operation: str, summary: str, contents: Mapping[str, Part], *parameters: Part) -> Part:
    return _get(operation, summary, {"200": answer("It.", contents)}, _READER, *parameters)


def _with_name(name: str, schema: Part, path: Part) -> Part:
    operation = path["get"]
    responses = {**operation["responses"], "404": failure("There is none of that name.")}
    parameter = {"name": name, "in": "path", "required": True, "schema": schema}
    return {"parameters": [parameter], "get": {**operation, "responses": responses}}


PATHS: Final[Mapping[str, Part]] = {
    "/": _shown(
        "getRoot",
        "The status page to browsers, what is here to others",
        {"text/html": _TEXT, JSON: ref("Index")},
        header("Accept", _TEXT, "HTML goes to who names it and doesn't like JSON better."),
    ),
    "/status/events": _get(
        "getStatusEvents",
        "What changes on the status page, as server-sent events",
        {
            "200": answer("A stream that has no end of its own.", {"text/event-stream": _TEXT}),
            "503": failure("As many streams are open as may be.", "Retry-After"),
        },
        _READER,
    ),
    "/static/{name}": _with_name(
        "name",
        {"type": "string", "minLength": 1, "pattern": r"^[A-Za-z0-9_.-]+$"},
        _shown(
            "getStatic",
            "A file of the status page",
            {"text/css": _TEXT, "text/javascript": _TEXT, "image/svg+xml": _TEXT},
        ),
    ),
    "/metrics": _get(
        "getMetrics",
        "All metrics",
        {
            "200": answer(
                "Prometheus text or OpenMetrics, as Accept says; gzip where it is taken.",
                {"text/plain": _TEXT, "application/openmetrics-text": _TEXT},
            )
        },
        _SCRAPER,
        header("Accept", _TEXT),
        header("Accept-Encoding", _TEXT),
    ),
    "/health": _health("getHealthWithoutSlash", "All checks, as with a slash"),
    "/health/": _health("getHealth", "All checks; a service that is down is a warning"),
    "/health/live": _health("getHealthLive", "Whether the process answers", fails=False),
    "/health/ready": _health("getHealthReady", "Whether the gateway can do its work"),
    "/health/services": _health("getHealthServices", "The services that are probed"),
    "/schemas/": _shown("getSchemas", "Where the schemas of events are", {JSON: ref("SchemaPaths")}),
    "/schemas/{type}.json": _with_name(
        "type",
        {"enum": list(DATA_SCHEMAS)},
        _shown("getSchema", "JSON Schema of a type's data", {JSON_SCHEMA: JSON_OBJECT}),
    ),
    "/openapi.json": _shown("getOpenapi", "This document, OpenAPI 3.1", {JSON: JSON_OBJECT}),
}
"""The paths, each with its operation."""
