"""The runtime meters as an instrumentation: `ansflow_runtime`."""

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk.metrics import MeterProvider

from ansflow_instrumentation.conventions import SCHEMA_URL
from ansflow_instrumentation.runtime import event_loop, garbage, process, supervisors, thread_pools
from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.version import __version__

__all__ = ["RuntimeInstrumentor"]

PARTS = (process, garbage, event_loop, thread_pools)
"""Each has `start(meter)` and `stop()`; one that fails leaves the others alone."""


class RuntimeInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Observes the process it runs in."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Name what is needed.

        Returns:
            Nothing: every process has a runtime.
        """
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        provider = kwargs.get("meter_provider") or get_meter_provider()
        if not isinstance(provider, MeterProvider) or not getattr(provider, "_metric_readers", True):
            return  # nobody would collect what is measured
        meter = provider.get_meter("ansflow_instrumentation.runtime", __version__, SCHEMA_URL)
        with survive("Recognising supervisors"):
            supervisors.recognise()
        for part in PARTS:
            with survive(f"Starting the meters of {part.__name__}"):
                part.start(meter)

    def _uninstrument(self, **kwargs: Any) -> None:
        for part in PARTS:
            with survive(f"Stopping the meters of {part.__name__}"):
                part.stop()
