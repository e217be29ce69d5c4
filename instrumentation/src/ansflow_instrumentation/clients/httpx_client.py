"""httpx's clients, synchronous and asynchronous.

contrib's instrumentation has no duration for a call that raises (a time-out, a refused connection), of which
a success rate then knows nothing; takes half a body for a success; makes each hop of a redirect a call; and
does not see a transport of the application's.
"""

from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.clients.calls import Calls
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches

__all__ = ["HttpxInstrumentor"]

Function = Callable[..., Any]


class HttpxInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records the calls of every httpx client."""

    _patches = Patches()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Give what must be installed.

        Returns:
            Nothing: it waits for httpx to be imported.
        """
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._active = True
        self._calls = Calls("HTTPX")
        when_imported("httpx", self._wrap)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._active = False
        self._patches.restore()

    def _wrap(self, httpx: ModuleType) -> None:
        if self._active:
            self._patches.replace(httpx.Client, "send", self._sending)
            self._patches.replace(httpx.AsyncClient, "send", self._async_sending)

    def _sending(self, original: Function) -> Function:
        begin = self._calls.begin

        def send(client: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            call = begin(request.method, str(request.url), request.headers)
            if call is None:
                return original(client, request, *args, **kwargs)
            try:
                response = original(client, request, *args, **kwargs)
            except BaseException as error:
                call.fail(error)
                raise
            call.end(response.status_code, response.headers)
            return response

        return send

    def _async_sending(self, original: Function) -> Function:
        begin = self._calls.begin

        async def send(client: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            call = begin(request.method, str(request.url), request.headers)
            if call is None:
                return await original(client, request, *args, **kwargs)
            try:
                response = await original(client, request, *args, **kwargs)
            except BaseException as error:
                call.fail(error)
                raise
            call.end(response.status_code, response.headers)
            return response

        return send
