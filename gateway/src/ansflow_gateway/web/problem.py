"""Errors as `application/problem+json`.

Source: https://www.rfc-editor.org/rfc/rfc9457
"""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ansflow_gateway.domain.rejection import Reason, Rejection
from ansflow_gateway.web.answer import Answer

_LOG: Final = logging.getLogger(__name__)

_NONE: Final[Mapping[str, str]] = MappingProxyType({})

CONTENT_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[Reason, HTTPStatus]] = MappingProxyType(
    {
        Reason.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
        Reason.FORBIDDEN: HTTPStatus.FORBIDDEN,
        Reason.INVALID_SIGNATURE: HTTPStatus.UNAUTHORIZED,
        Reason.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        Reason.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        Reason.TIMEOUT: HTTPStatus.REQUEST_TIMEOUT,
        Reason.MALFORMED_REQUEST: HTTPStatus.BAD_REQUEST,
        Reason.BROKEN_BODY: HTTPStatus.BAD_REQUEST,
        Reason.NOT_JSON: HTTPStatus.BAD_REQUEST,
        Reason.TOO_DEEP: HTTPStatus.BAD_REQUEST,
        Reason.NOT_FINITE: HTTPStatus.BAD_REQUEST,
        Reason.UNKNOWN_EVENT_TYPE: HTTPStatus.UNPROCESSABLE_ENTITY,
        Reason.MISSING: HTTPStatus.UNPROCESSABLE_ENTITY,
        Reason.WRONG_TYPE: HTTPStatus.UNPROCESSABLE_ENTITY,
        Reason.INVALID_VALUE: HTTPStatus.UNPROCESSABLE_ENTITY,
        Reason.OUT_OF_RANGE: HTTPStatus.UNPROCESSABLE_ENTITY,
        Reason.TOO_LONG: HTTPStatus.UNPROCESSABLE_ENTITY,
        Reason.OVERLOADED: HTTPStatus.TOO_MANY_REQUESTS,
        Reason.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
"""400 where the body isn't the format it claims to be, 422 where it is but says something that can't be; 429
and 503 where the same is to be sent again later."""

_TITLES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.UNAUTHORIZED: "A valid bearer token is needed",
        Reason.FORBIDDEN: "The token isn't meant for this",
        Reason.INVALID_SIGNATURE: "The sender isn't verified",
        Reason.UNSUPPORTED_MEDIA_TYPE: "The content type isn't supported",
        Reason.BODY_TOO_LARGE: "The body is too large",
        Reason.TIMEOUT: "The body took too long to arrive",
        Reason.MALFORMED_REQUEST: "The request isn't HTTP",
        Reason.BROKEN_BODY: "The body can't be read",
        Reason.NOT_JSON: "The body isn't JSON",
        Reason.TOO_DEEP: "The nesting is too deep",
        Reason.NOT_FINITE: "A number isn't finite",
        Reason.UNKNOWN_EVENT_TYPE: "The event's type isn't known",
        Reason.MISSING: "A member is missing",
        Reason.WRONG_TYPE: "A member has the wrong type",
        Reason.INVALID_VALUE: "A member has an invalid value",
        Reason.OUT_OF_RANGE: "A number is out of range",
        Reason.TOO_LONG: "A text is too long",
        Reason.OVERLOADED: "Too much waits to be stored",
        Reason.UNAVAILABLE: "Nothing can be stored at present",
    }
)


def members(rejection: Rejection) -> dict[str, object]:
    """Make the members of a problem document.

    Args:
        rejection: Why something was refused.

    Returns:
        Members of RFC 9457, and `reason`, `field`, `expected`, `got` as extensions.
    """
    return {
        "type": f"urn:ansflow:problem:{rejection.reason}",
        "title": _TITLES[rejection.reason],
        "status": STATUS[rejection.reason].value,
        "detail": f"{rejection.field}: expected {rejection.expected}, got {rejection.got}",
        "reason": rejection.reason.value,
        "field": rejection.field,
        "expected": rejection.expected,
        "got": rejection.got,
    }


def answer(rejection: Rejection, headers: Mapping[str, str] = _NONE) -> Answer:
    """Make the problem document that answers a refusal.

    Args:
        rejection: Why something was refused.
        headers: Further headers.

    Returns:
        The answer.
    """
    return _make(members(rejection), STATUS[rejection.reason], headers)


def response(rejection: Rejection, headers: Mapping[str, str] = _NONE) -> web.Response:
    """Answer with a problem document.

    Args:
        rejection: Why something was refused.
        headers: Further headers.

    Returns:
        The response.
    """
    return answer(rejection, headers).response()


def failure() -> Answer:
    """Make the problem document of an error that nobody foresaw, and which was logged."""
    return _bare(HTTPStatus.INTERNAL_SERVER_ERROR)


def plain(
    status: HTTPStatus, detail: str, headers: Mapping[str, str] = _NONE, **extensions: object
) -> web.Response:
    """Answer with a problem document about something that isn't the sender's input.

    Args:
        status: The status, whose phrase is the title.
        detail: What is wrong, and the way out.
        headers: Further headers.
        extensions: Further members.

    Returns:
        The response.
    """
    return _bare(status, headers, detail=detail, **extensions).response()


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn aiohttp's own error pages, and errors nobody foresaw, into problem documents."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else _NONE
        document = {"type": "about:blank", "title": error.reason, "status": error.status}
        return _make(document, error.status, allow).response()
    except Exception:  # noqa: BLE001 - the last resort: logged, and told to the client as a 500
        _LOG.exception("a request failed", extra={"method": request.method, "path": request.path})
        return failure().response()


def _bare(status: HTTPStatus, headers: Mapping[str, str] = _NONE, **extensions: object) -> Answer:
    document = {"type": "about:blank", "title": status.phrase, "status": status.value}
    return _make(document | extensions, status, headers)


def _make(document: Mapping[str, object], status: int, headers: Mapping[str, str]) -> Answer:
    # Escapes beyond ASCII: what is echoed may hold lone surrogates, which have no UTF-8 form.
    return Answer(int(status), json.dumps(document).encode(), CONTENT_TYPE, tuple(headers.items()))
