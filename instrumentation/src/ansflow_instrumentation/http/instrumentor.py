"""The entry point for applications that are Starlette's and not FastAPI's."""

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)

from ansflow_instrumentation.http.starlette import instrument_starlette

__all__ = ["StarletteInstrumentor"]


class StarletteInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Records the requests and WebSockets of Starlette applications."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Say what is instrumented.

        Returns:
            Starlette, of any version that has the classes that are wrapped.
        """
        return ("starlette >= 0.27",)

    def _instrument(self, **kwargs: Any) -> None:
        instrument_starlette()

    def _uninstrument(self, **kwargs: Any) -> None:
        """Do nothing: what is wrapped at start stays wrapped."""
