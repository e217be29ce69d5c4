"""An OpenTelemetry distro for FastAPI and Django: metrics, traces and logs with no code changed.

`opentelemetry-instrument` finds it through its entry points: no application needs to import it.
"""

from ansflow_instrumentation.version import __version__

__all__ = ["__version__"]
