"""Routes and views of the project."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path, re_path


def item(request: HttpRequest, item_id: int) -> JsonResponse:
    """Answer."""
    return JsonResponse({"item": item_id})


async def asynchronous(request: HttpRequest, item_id: int) -> JsonResponse:
    """Answer from a coroutine."""
    return JsonResponse({"item": item_id})


def order(request: HttpRequest, shop_id: int, order_id: int) -> JsonResponse:
    """Answer from routes that are included."""
    return JsonResponse({"shop": shop_id, "order": order_id})


def archive(request: HttpRequest, year: str) -> JsonResponse:
    """Answer for a route that is a regular expression."""
    return JsonResponse({"year": year})


def broken(request: HttpRequest) -> HttpResponse:
    """Fail as code fails."""
    raise RuntimeError("a bug")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Answer piece by piece."""

    def pieces() -> Iterator[str]:
        yield from "abc"

    return StreamingHttpResponse(pieces())


def health(request: HttpRequest) -> HttpResponse:
    """Say that all is well."""
    return HttpResponse("ok")


urlpatterns = [
    path("items/<int:item_id>", item),
    path("asynchronous/<int:item_id>", asynchronous),
    path("shops/<int:shop_id>/", include([path("orders/<int:order_id>", order)])),
    re_path(r"^archive/(?P<year>[0-9]{4})/$", archive),
    path("broken", broken),
    path("stream", stream),
    path("health/live", health),
]
