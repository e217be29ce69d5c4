"""`GET /openapi.json`: what the gateway's endpoints take and answer.

Source: https://spec.openapis.org/oas/v3.1.1.html
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from ansflow_gateway import __version__
from ansflow_gateway.domain.rejection import Reason
from ansflow_gateway.web import problem
from ansflow_gateway.web.schemas import DIALECT, SCHEMAS

PATH: Final = "/openapi.json"

_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 512}


def _envelope(event_type: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _TEXT,
            "source": _TEXT,
            "type": event_type,
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "traceparent": {"type": "string"},
            "data": data,
        },
    }


def _named(event_type: str) -> str:
    """Name a type's schema among the components."""
    return "".join(part.capitalize() for part in event_type.removeprefix("dev.ansflow.").split("."))


_CD_EVENT: Final = _envelope(
    {"type": "string", "pattern": r"^dev\.cdevents\.[a-z]+\.[a-z]+\.0\.[0-9]+\.[0-9]+$"},
    {
        "type": "object",
        "required": ["context", "subject"],
        "properties": {
            "context": {"type": "object", "required": ["id", "source", "type", "timestamp"]},
            "subject": {
                "type": "object",
                "required": ["id", "content"],
                "properties": {"id": _TEXT, "source": _TEXT, "content": {"type": "object"}},
            },
        },
    },
)


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(
    description: str, schema: Mapping[str, Any], content_type: str = "application/json"
) -> dict[str, Any]:
    return {"description": description, "content": {content_type: {"schema": schema}}}


def _problems(*statuses: int) -> dict[str, Any]:
    reasons: dict[int, list[str]] = {}
    for reason, status in problem.STATUS.items():
        reasons.setdefault(status.value, []).append(reason.value)
    return {
        str(status): _json(
            "Refused: " + ", ".join(reasons.get(status, ["see `detail`"])),
            _ref("Problem"),
            problem.CONTENT_TYPE,
        )
        for status in statuses
    }


def _get(summary: str, description: str, content_type: str, *problems: int) -> dict[str, Any]:
    return {
        "get": {
            "summary": summary,
            "responses": {
                "200": {"description": description, "content": {content_type: {}}},
                **_problems(*problems),
            },
        }
    }


_VERDICT: Final = {"enum": ["accepted", "duplicate", "unsupported"]}
_SINGLE: Final = {
    "type": "object",
    "required": ["id", "verdict"],
    "properties": {"id": {"type": "string"}, "verdict": _VERDICT},
}
_COUNT: Final = {"type": "integer", "minimum": 0}
_BATCH: Final = {
    "type": "object",
    "required": ["accepted", "duplicate", "unsupported", "rejected", "items"],
    "properties": {
        **dict.fromkeys(("accepted", "duplicate", "unsupported", "rejected"), _COUNT),
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "verdict"],
                "properties": {
                    "index": _COUNT,
                    "verdict": {"enum": [*_VERDICT["enum"], "rejected"]},
                    "id": {"type": "string"},
                    "problem": _ref("Problem"),
                },
            },
        },
    },
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {"enum": [reason.value for reason in Reason]},
        "field": {"type": "string"},
        "expected": {"type": "string"},
        "got": {"type": "string"},
    },
}

_POST_EVENTS: Final = {
    "summary": "Take CloudEvents in",
    "description": "One, a batch, or one in binary mode: `ce-` headers, and JSON data as the body.",
    "parameters": [
        {
            "name": "Prefer",
            "in": "header",
            "schema": {"enum": ["return=minimal"]},
            "description": "Of a batch, list the refused items alone.",
        },
    ],
    "requestBody": {
        "required": True,
        "description": "At most 1 MiB, inflated too where Content-Encoding is gzip.",
        "content": {
            "application/cloudevents+json": {"schema": _ref("Event")},
            "application/cloudevents-batch+json": {
                "schema": {"type": "array", "items": _ref("Event"), "maxItems": 10_000}
            },
            "application/json": {"schema": {"type": "object"}},
        },
    },
    "responses": {
        "200": _json(
            "One event: it was known, or isn't used, and changed nothing. A batch: no item was refused.",
            {"anyOf": [_SINGLE, _BATCH]},
        ),
        "202": _json("The event is new: it is stored, and counted once.", _SINGLE),
        "207": _json("Some items of the batch were refused.", _BATCH),
        "422": {
            "description": "The event was refused, or each item of the batch.",
            "content": {
                "application/problem+json": {"schema": _ref("Problem")},
                "application/json": {"schema": _BATCH},
            },
        },
        **_problems(400, 401, 403, 408, 413, 415, 429, 503),
    },
}


def _post_webhook(system: str, *headers: str) -> dict[str, Any]:
    return {
        "post": {
            "summary": f"Take a webhook of {system} in",
            "parameters": [
                {"name": header, "in": "header", "schema": {"type": "string"}} for header in headers
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "responses": {
                "200": {
                    "description": "It was known, isn't used, or isn't supported.",
                    "content": {"application/json": {}},
                },
                "202": {"description": "It is taken.", "content": {"application/json": {}}},
                **_problems(400, 401, 408, 413, 415, 422, 503),
            },
        }
    }


_HEALTH: Final = "application/health+json"

PATHS: Final[Mapping[str, Mapping[str, Any]]] = {
    "/v1/events": {"post": _POST_EVENTS},
    "/webhooks/github": _post_webhook("GitHub", "X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature-256"),
    "/webhooks/gitlab": _post_webhook("GitLab", "X-Gitlab-Event", "X-Gitlab-Token", "webhook-signature"),
    "/webhooks/jenkins": _post_webhook("Jenkins"),
    "/": _get("The status page", "The page", "text/html", 401),
    "/metrics": _get("All metrics", "Prometheus text or OpenMetrics, as Accept says", "text/plain", 401),
    "/health": _get("All checks", "All that is needed works", _HEALTH, 503),
    "/health/": _get("All checks", "All that is needed works", _HEALTH, 503),
    "/health/live": _get("Whether the process answers", "It does", _HEALTH),
    "/health/ready": _get("Whether events can be taken in", "They can", _HEALTH, 503),
    "/schemas/": _get("The paths of all schemas", "By type", "application/json", 401),
    "/schemas/{type}.json": {
        "parameters": [
            {"name": "type", "in": "path", "required": True, "schema": {"enum": list(SCHEMAS)}},
        ],
        **_get("JSON Schema of a type's data", "The schema", "application/schema+json", 401, 404),
    },
    PATH: _get("This document", "OpenAPI 3.1", "application/json", 401),
}
"""Each endpoint; a test compares them with the routes."""

DOCUMENT: Final[Mapping[str, Any]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "AnsFlow Observability Gateway",
        "version": __version__,
        "description": "Takes events and webhooks in, counts each once, and gives out metrics and traces.",
        "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    },
    "jsonSchemaDialect": DIALECT,
    "paths": PATHS,
    "components": {
        "schemas": {
            **{
                _named(event_type): _envelope(
                    {"const": event_type},
                    {name: value for name, value in schema.items() if not name.startswith("$")},
                )
                for event_type, schema in SCHEMAS.items()
            },
            "CdEvent": _CD_EVENT,
            "Event": {"anyOf": [*(_ref(_named(event_type)) for event_type in SCHEMAS), _ref("CdEvent")]},
            "Problem": _PROBLEM,
        },
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    },
    "security": [{"bearer": []}, {}],
}
"""The document."""

_RENDERED: Final = msgspec.json.format(msgspec.json.encode(DOCUMENT))


async def get_openapi(_: web.Request) -> web.Response:
    """Answer with the document."""
    return web.Response(body=_RENDERED, content_type="application/json")


def routes() -> list[web.RouteDef]:
    """Make the route.

    Returns:
        It.
    """
    return [web.get(PATH, get_openapi)]
