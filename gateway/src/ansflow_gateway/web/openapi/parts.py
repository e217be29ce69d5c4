"""What operations of the OpenAPI document are made of: references, contents, responses, refusals."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from ansflow_gateway.domain.rejection import GOT_LIMIT, SHED, Reason
from ansflow_gateway.web import problem

Part = dict[str, Any]
"""A piece of the document."""

JSON: Final = "application/json"
JSON_OBJECT: Final = {"type": "object"}
COUNT: Final = {"type": "integer", "minimum": 0}

TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 512}
"""An id, or the like."""

LABEL: Final = {"type": "string", "minLength": 1, "maxLength": 200}
"""A text that may become a label's value."""

BODY_REFUSALS: Final = (
    Reason.MALFORMED_REQUEST,
    Reason.BROKEN_BODY,
    Reason.NOT_JSON,
    Reason.TOO_DEEP,
    Reason.NOT_FINITE,
    Reason.TIMEOUT,
    Reason.BODY_TOO_LARGE,
    Reason.UNSUPPORTED_MEDIA_TYPE,
    Reason.MISSING,
    Reason.WRONG_TYPE,
    Reason.INVALID_VALUE,
    Reason.OUT_OF_RANGE,
    Reason.TOO_LONG,
)
"""Why whatever has a body may be refused."""

TOKEN_REFUSALS: Final = (Reason.UNAUTHORIZED, Reason.FORBIDDEN)
"""Why whatever needs a token may be refused, where one is set."""

HEADERS: Final = {
    "Preference-Applied": {
        "description": "Where the short answer was wanted and is given.",
        "schema": {"const": "return=minimal"},
    },
    "Retry-After": {
        "description": "When to send the same again, in seconds.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to show who one is (RFC 9110, 11.6.1).",
        "schema": {"type": "string"},
    },
}
"""Headers of responses."""

SCHEMAS: Final[Mapping[str, Any]] = {
    "Problem": {
        "title": "A problem document (RFC 9457)",
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
        },
    },
    "Rejection": {
        "title": "Why what was sent is refused",
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "required": ["detail", "reason", "field", "expected", "got"],
        "properties": {
            "type": {"enum": [f"urn:ansflow:problem:{reason}" for reason in Reason]},
            "reason": {"enum": [reason.value for reason in Reason]},
            "field": {
                "type": "string",
                "minLength": 1,
                "maxLength": GOT_LIMIT,
                "description": "The path in the event, `body`, or a header's name in lower case.",
            },
            "expected": {"type": "string", "minLength": 1},
            "got": {"type": "string", "maxLength": GOT_LIMIT},
        },
    },
}
"""Schemas of what is told about errors."""


def ref(name: str) -> Part:
    """Refer to a schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(description: str, contents: Mapping[str, Mapping[str, Any]], *headers: str) -> Part:
    """Describe a response.

    Args:
        description: When it is given.
        contents: Schemas by content type.
        headers: Names out of `HEADERS`.

    Returns:
        The response.
    """
    response: Part = {
        "description": description,
        "content": {content_type: {"schema": schema} for content_type, schema in contents.items()},
    }
    if headers:
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return response


def refusals(*reasons: Reason) -> Part:
    """Describe the responses to what is refused.

    Args:
        reasons: Why it may be.

    Returns:
        Responses by status.
    """
    by_status: dict[HTTPStatus, list[Reason]] = {}
    for reason in reasons:
        by_status.setdefault(problem.STATUS[reason], []).append(reason)
    return {
        str(status.value): answer(
            "Refused: " + ", ".join(told), {problem.CONTENT_TYPE: ref("Rejection")}, *_headers(told)
        )
        for status, told in sorted(by_status.items())
    }


def failure(description: str, *headers: str) -> Part:
    """Describe a response that tells of something that isn't wrong with what was sent."""
    return answer(description, {problem.CONTENT_TYPE: ref("Problem")}, *headers)


def header(name: str, schema: Mapping[str, Any], description: str = "", *, required: bool = False) -> Part:
    """Describe a header of a request."""
    parameter: Part = {"name": name, "in": "header", "required": required, "schema": schema}
    return {**parameter, "description": description} if description else parameter


def _headers(reasons: Sequence[Reason]) -> Sequence[str]:
    if SHED.intersection(reasons):
        return ("Retry-After",)
    return ("WWW-Authenticate",) if set(TOKEN_REFUSALS).intersection(reasons) else ()
