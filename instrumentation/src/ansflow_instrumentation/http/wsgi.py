"""One HTTP request over WSGI, served by Django: from the server's call to the response's last byte.

A response that is a whole is over when the application returns it: what is left is the server's writing. One
that is streamed, or a file, is over when the server closes it, as it must (PEP 3333); its spans' parent is
current while it is produced.

Source:
    https://peps.python.org/pep-3333/
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.context import Context, attach, detach, get_current, get_value

from ansflow_instrumentation.excluded_requests import unsampled
from ansflow_instrumentation.http.incoming import host_and_port
from ansflow_instrumentation.http.request import ServedRequest
from ansflow_instrumentation.http.telemetry import HttpTelemetry
from ansflow_instrumentation.ownership import OWNED
from ansflow_instrumentation.spans.server import OWNER_KEY
from ansflow_instrumentation.urls import redacted_query

__all__ = ["serve"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Serve = Callable[[Environ, StartResponse], Iterable[bytes]]


def serve(telemetry: HttpTelemetry, environ: Environ, start_response: StartResponse, app: Serve) -> Any:
    """Serve an HTTP request, and record it.

    Args:
        telemetry: Where to.
        environ: The request's.
        start_response: The server's.
        app: Serves the request; Django's handler.

    Returns:
        What the application returned.

    Raises:
        BaseException: Whatever the application raised.
    """
    outer = get_value(OWNER_KEY)
    if outer is not None:  # Django is mounted in an ASGI application, which records the request
        environ[OWNED] = outer
        return app(environ, start_response)
    path = _path(environ)
    scheme = environ.get("wsgi.url_scheme", "http")
    exclusion = telemetry.settings.exclusion
    root_path = environ.get("SCRIPT_NAME", "")
    if path in exclusion.paths or (
        (root_path or exclusion.pattern is not None)
        and exclusion.covers(path, root_path, scheme, _authority(environ))
    ):
        environ[OWNED] = None
        with unsampled():
            response: Any = app(environ, start_response)
            if _is_streamed(response):
                response.streaming_content = _within(get_current(), response.streaming_content)
            return response
    request = ServedRequest(
        telemetry,
        environ["REQUEST_METHOD"],
        scheme,
        environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
        environ.get("CONTENT_LENGTH") or None,
    )
    environ[OWNED] = request
    parent = telemetry.parent.of_environ(environ)
    context = request.start(parent, lambda: _attributes(telemetry, environ, path, scheme))
    token = attach(context)
    over = True
    try:
        response = app(environ, _noting_status(request, start_response))
        over = _is_over(request, response, context)
    except BaseException as error:
        request.fail(error)
        raise
    finally:
        detach(token)
        if over:
            request.finish()
    return response


def _noting_status(request: ServedRequest, start_response: StartResponse) -> StartResponse:
    captured = request.telemetry.settings.captured

    def start_noted(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        request.status = int(status[:3])
        if captured is not None and captured.response:
            request.captured = captured.of_response(headers)
        return start_response(status, headers, *exc_info)

    return start_noted


def _is_over(request: ServedRequest, response: Any, context: Context) -> bool:
    """Tell whether the response is a whole; if not, have it say when it is over."""
    if getattr(response, "streaming", None) is False:
        request.response_size = sum(map(len, response))
        return True
    if _is_streamed(response):
        chunks = _within(context, response.streaming_content)
        response.streaming_content = _counted(request, chunks)
        _finish_when_closed(request, response)
        return False
    request.response_size = None
    return not _finish_when_closed(request, response)


def _is_streamed(response: Any) -> bool:
    return bool(getattr(response, "streaming", False)) and not getattr(response, "is_async", False)


def _within(context: Context, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Produce chunks with a context as the current one."""
    iterator = iter(chunks)
    while True:
        token = attach(context)
        try:
            chunk = next(iterator, None)
        finally:
            detach(token)
        if chunk is None:
            return
        yield chunk


def _counted(request: ServedRequest, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Count the chunks; that they are over, closed or forgotten is the request's end, whoever asks for it."""
    try:
        for chunk in chunks:
            request.response_size += len(chunk)  # type: ignore[operator] # it is known here
            yield chunk
    except Exception as error:
        request.fail(error)
        raise
    finally:
        request.finish()


def _finish_when_closed(request: ServedRequest, response: Any) -> bool:
    """Finish the request when the server closes the response; tells whether that could be arranged."""
    close = getattr(response, "close", None)
    if close is None:
        return False

    def close_and_finish() -> None:
        try:
            close()
        finally:
            request.finish()
            vars(response).pop("close", None)  # it has the response, which has it

    try:
        response.close = close_and_finish
    except AttributeError:  # a server's own file wrapper, written in C
        return False
    return True


def _path(environ: Environ) -> str:
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    # PEP 3333: the bytes of the path, each as a character.
    return path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")


def _authority(environ: Environ) -> str:
    host: str | None = environ.get("HTTP_HOST")
    return host or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"


def _headers(environ: Environ) -> list[tuple[str, str]]:
    return [
        (key[5:].replace("_", "-").lower(), value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]


def _attributes(telemetry: HttpTelemetry, environ: Environ, path: str, scheme: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {"url.scheme": scheme, "url.path": path}
    query = environ.get("QUERY_STRING")
    if query:
        attributes["url.query"] = redacted_query(query)
    address, port = host_and_port(_authority(environ), scheme)
    if address:
        attributes["server.address"] = address
        if port is not None:
            attributes["server.port"] = port
    client = environ.get("REMOTE_ADDR")
    if client:
        attributes["client.address"] = client
    agent = environ.get("HTTP_USER_AGENT")
    if agent is not None:
        attributes["user_agent.original"] = agent
    captured = telemetry.settings.captured
    if captured is not None and captured.request:
        attributes.update(captured.of_request(_headers(environ)))
    return attributes
