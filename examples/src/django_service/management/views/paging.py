"""Pages of lists."""

from dataclasses import dataclass
from http import HTTPStatus

from django.http import HttpRequest

from django_service.errors import ApiError


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for.

    Args:
        limit: How many at most, 1 to 100.
        offset: How many to leave out first.
    """

    limit: int
    offset: int

    @property
    def slice(self) -> slice:
        """The part as a slice."""
        return slice(self.offset, self.offset + self.limit)


def page_of(request: HttpRequest) -> Page:
    """Return the page that a request asks for.

    Args:
        request: The request, with `limit` and `offset` in its query.

    Returns:
        The page; the first 50 where nothing is said.

    Raises:
        ApiError: 422, with what is wrong.
    """
    return Page(_number(request, "limit", 50, 1, 100), _number(request, "offset", 0, 0, 10**9))


def _number(request: HttpRequest, name: str, default: int, low: int, high: int) -> int:
    text = request.GET.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and low <= int(text[:12]) <= high):
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY, {name: [f"expected a whole number from {low} to {high}"]}
        )
    return int(text)
