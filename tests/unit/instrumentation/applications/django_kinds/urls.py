"""Routes of every form, and responses of every kind."""

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import include, path, re_path
from opentelemetry import trace


def plain(request: HttpRequest, **_: str) -> HttpResponse:
    """Answer with five bytes."""
    return HttpResponse("hello")


def broken(request: HttpRequest) -> HttpResponse:
    """Fail as code fails."""
    raise LookupError("a bug")


def stream(request: HttpRequest) -> HttpResponseBase:
    """Send ten bytes in two chunks, with a span of its own for each."""

    def chunks() -> Iterator[str]:
        for _ in range(2):
            with trace.get_tracer("kinds").start_as_current_span("chunk"):
                yield "12345"

    return StreamingHttpResponse(chunks())


def file(request: HttpRequest) -> HttpResponseBase:
    """Send a file by the server's own means, where it has some."""
    content = tempfile.TemporaryFile()  # noqa: SIM115 # Django closes it
    content.write(b"x" * 100_000)
    content.seek(0)
    return FileResponse(content)


async def where(request: HttpRequest) -> HttpResponse:
    """Answer with the thread that an async view runs in."""
    await asyncio.sleep(0)
    return HttpResponse(str(threading.get_ident()))


async def stream_async(request: HttpRequest) -> HttpResponseBase:
    """Send ten bytes in two chunks, asynchronously."""

    async def chunks() -> AsyncIterator[str]:
        for _ in range(2):
            await asyncio.sleep(0.01)
            yield "12345"

    return StreamingHttpResponse(chunks())


nested = [
    re_path(r"^(?P<pk>[^/.]+)/$", plain),
    re_path(r"^(?P<pk>[^/.]+)/lines(?:\.(?P<format>[a-z0-9]+))?/?$", plain),
]

urlpatterns = [
    path("", plain),
    path("plain/<int:number>", plain),
    path("broken", broken),
    path("stream", stream),
    path("file", file),
    path("where", where),
    path("stream-async", stream_async),
    path("api/", include([re_path(r"^orders/", include(nested))])),
]
