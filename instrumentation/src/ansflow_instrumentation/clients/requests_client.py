"""requests' sessions."""

from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from opentelemetry import context
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)
from opentelemetry.instrumentation.utils import (  # type: ignore[attr-defined] # untyped
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
)

from ansflow_instrumentation.clients.calls import Calls
from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.patches import Patches

__all__ = ["RequestsInstrumentor"]

Function = Callable[..., Any]


class RequestsInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records the calls of every session, and so those of `requests.get` and its like."""

    _patches = Patches()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Give what must be installed.

        Returns:
            Nothing: it waits for requests to be imported.
        """
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._active = True
        self._calls = Calls("REQUESTS")
        when_imported("requests.sessions", self._wrap)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._active = False
        self._patches.restore()

    def _wrap(self, sessions: ModuleType) -> None:
        if self._active:
            self._patches.replace(sessions.Session, "send", self._sending)

    def _sending(self, original: Function) -> Function:
        begin = self._calls.begin

        def send(session: Any, request: Any, **kwargs: Any) -> Any:
            call = begin(request.method or "", request.url or "", request.headers)
            if call is None:
                return original(session, request, **kwargs)
            # A redirect is sent by this function again, and urllib3 may be instrumented as well.
            within = context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, call.context())
            token = context.attach(within)
            try:
                try:
                    response = original(session, request, **kwargs)
                finally:
                    context.detach(token)
            except BaseException as error:
                call.fail(error)
                raise
            # A hook of the application's may make anything of it.
            call.end(getattr(response, "status_code", None), getattr(response, "headers", {}))
            return response

        return send
