"""Errors that have an HTTP status, and the one place where a database that is away becomes a 503."""

import json
import logging
from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse

logger = logging.getLogger(__name__)


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        status: The HTTP status.
        detail: What is wrong, for whoever sent the request.
    """

    def __init__(self, status: HTTPStatus, detail: object) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class ErrorAnswers:
    """Answers what the views raise: `ApiError` with its status, and 503 for a database that is away.

    Args:
        get_response: The rest of the stack.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn a view's exception into an answer; `None` leaves it to Django."""
        if isinstance(error, ApiError):
            return JsonResponse({"detail": error.detail}, status=error.status)
        if isinstance(error, OperationalError | InterfaceError):
            logger.error("%s %s: database: %s", request.method, request.path, error)
            return JsonResponse(
                {"detail": "database is not available"},
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                headers={"Retry-After": "5"},
            )
        return None


def body_of(request: HttpRequest) -> dict[str, object]:
    """Return the JSON object in a request's body.

    Args:
        request: The request.

    Returns:
        The object; empty for an empty body.

    Raises:
        ApiError: 400 for what is not JSON, 413 for what is too large, 422 for what is not an object.
    """
    try:
        value = json.loads(request.body or b"{}")
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is JSON, and no text
    except RequestDataTooBig as error:
        raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large") from error
    except (ValueError, RecursionError) as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is not a JSON object")
    return value


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer a request for an address that is not there."""
    return JsonResponse({"detail": "no such address"}, status=HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> JsonResponse:
    """Answer a request that failed for a reason of ours; the log has the reason."""
    return JsonResponse({"detail": "internal error"}, status=HTTPStatus.INTERNAL_SERVER_ERROR)


class NotUnavailable(logging.Filter):
    """Leaves out Django's own line about each 503: whoever answers 503 has logged the reason."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is about something else."""
        return getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE
