"""aiohttp's client sessions.

contrib's instrumentation loses the error of a call that raises from the metric wherever the trace is not
sampled, and the status where aiohttp raises for it.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.clients.calls import Calls
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches

__all__ = ["AiohttpClientInstrumentor"]

Function = Callable[..., Any]


class AiohttpClientInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records the calls of every client session."""

    _patches = Patches()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Give what must be installed.

        Returns:
            Nothing: it waits for aiohttp to be imported.
        """
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._active = True
        self._calls = Calls("AIOHTTP_CLIENT")
        when_imported("aiohttp.client", self._wrap)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._active = False
        self._patches.restore()

    def _wrap(self, client: ModuleType) -> None:
        if self._active:
            self._patches.replace(client.ClientSession, "_request", self._requesting)

    def _requesting(self, original: Function) -> Function:
        from multidict import CIMultiDict  # comes with aiohttp

        begin = self._calls.begin

        async def request(session: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
            headers = CIMultiDict(kwargs.get("headers") or ())
            call = begin(method, _url(session, str_or_url, kwargs.get("params")), headers)
            if call is None:
                return await original(session, method, str_or_url, **kwargs)
            try:
                response = await original(session, method, str_or_url, **{**kwargs, "headers": headers})
            except BaseException as error:
                call.fail(error)
                raise
            call.end(response.status, response.headers)
            return response

        return request


def _url(session: Any, str_or_url: Any, params: Any) -> str:
    """Give the URL that will be called; of one that aiohttp will refuse, what was given."""
    with suppress(Exception):  # whatever it is, aiohttp says so to the application
        from yarl import URL  # comes with aiohttp

        url = session._build_url(str_or_url if isinstance(str_or_url, URL) else URL(str_or_url))
        return str(url.extend_query(params) if params else url)
    return str(str_or_url)
