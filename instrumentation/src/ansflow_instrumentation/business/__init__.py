"""The business API: what a platform does, counted and timed where the application says so.

Nothing is recorded, and little is spent, in a process without an OpenTelemetry SDK: the calls may stay in
an application that is also started without `opentelemetry-instrument`. Nothing here raises into the
application for what it is given: a value that cannot be recorded is one warning, and recorded under a safe
one.

Example:
    >>> from ansflow_instrumentation import business
    >>> business.user_activity("run.started", user_type="developer")
    >>> with business.pipeline_run("release", project="web-shop", pipeline_type="deploy") as run:
    ...     with business.integration_call("registry"):
    ...         pass  # push the image
    ...     run.result = "success"
"""

from ansflow_instrumentation.business.activity import user_activity
from ansflow_instrumentation.business.block import MeasuredBlock
from ansflow_instrumentation.business.integration import (
    IntegrationCall,
    current_integration_type,
    integration_call,
)
from ansflow_instrumentation.business.labels import OTHER, OVERFLOW, SERIES_LIMIT_VARIABLE
from ansflow_instrumentation.business.pipeline import PipelineRun, RunResult, pipeline_run

__all__ = [
    "OTHER",
    "OVERFLOW",
    "SERIES_LIMIT_VARIABLE",
    "IntegrationCall",
    "MeasuredBlock",
    "PipelineRun",
    "RunResult",
    "current_integration_type",
    "integration_call",
    "pipeline_run",
    "user_activity",
]
