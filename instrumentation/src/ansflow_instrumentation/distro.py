"""The distro: what `opentelemetry-instrument` does for a service, without a line of it changed."""

import logging
import os
from collections.abc import Callable, Mapping, MutableMapping
from importlib.metadata import EntryPoint
from typing import Any

from opentelemetry.instrumentation.distro import (  # type: ignore[attr-defined] # the module is untyped
    BaseDistro,
)

from ansflow_instrumentation import instrumentors
from ansflow_instrumentation.configuration.expressions import drop_bad_expressions
from ansflow_instrumentation.configuration.file import apply_settings_of_file
from ansflow_instrumentation.configuration.lists import (
    DISABLED_VARIABLE,
    OFF_BY_DEFAULT,
    off_by_default,
    reason_off,
)
from ansflow_instrumentation.excluded_requests import leave_excluded_requests_untraced
from ansflow_instrumentation.export.fast_exporter import encode_spans_fast
from ansflow_instrumentation.http.settings import OPERATIONAL_PATHS
from ansflow_instrumentation.log_export import QUIET_LOGGERS, QUIET_LOGGERS_VARIABLE
from ansflow_instrumentation.ownership import keep_export_single, record_each_request_once
from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.workers import care_for_processes

__all__ = ["DEFAULTS", "OPERATIONAL_PATHS", "AnsFlowDistro", "apply_defaults", "exclude_operational_paths"]

_logger = logging.getLogger(__name__)

DEFAULTS: Mapping[str, str] = {
    # Another distro's configurator, should one be installed beside, must not take our place.
    "OTEL_PYTHON_CONFIGURATOR": "ansflow",
    # The stable names only; "http/dup" or "database/dup" would send the old ones as well.
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based",
    # Shorter than Prometheus' usual 15 s between scrapes, so that each scrape sees new points, and little is
    # lost with a killed process, for one small request a process. (SDK: 60 s; its 5 s and 1 s for spans and
    # logs are left as they are.)
    "OTEL_METRIC_EXPORT_INTERVAL": "10000",
    # Two seconds of a busy worker's spans and logs instead of half a one: full queues drop. (SDK: 2048.)
    "OTEL_BSP_MAX_QUEUE_SIZE": "8192",
    "OTEL_BLRP_MAX_QUEUE_SIZE": "8192",
    # Where none of them is in the user's list of what is enabled.
    DISABLED_VARIABLE: ",".join(OFF_BY_DEFAULT),
    QUIET_LOGGERS_VARIABLE: ",".join(QUIET_LOGGERS),
}
"""Environment variables that are set where the user has not."""


class AnsFlowDistro(BaseDistro):  # type: ignore[misc] # untyped, as above
    """Completes the environment and loads the instrumentations; whatever fails, the application starts."""

    def _configure(self, **kwargs: Any) -> None:
        env = os.environ
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("Reading the distro's settings of the configuration file", lambda: apply_settings_of_file(env)),
            ("Checking regular expressions", lambda: drop_bad_expressions(env)),
            ("Setting the defaults", lambda: apply_defaults(env)),
            ("Excluding the health paths", lambda: exclude_operational_paths(env)),
            ("Keeping FastAPI from exporting as well", lambda: keep_export_single(env)),
            ("Caring for processes and their ends", lambda: care_for_processes(env)),
            ("Leaving excluded requests untraced", leave_excluded_requests_untraced),
            ("Recording each request once", record_each_request_once),
            ("Encoding spans fast", encode_spans_fast),
            ("Hiding conflicts of what is replaced", instrumentors.hide_conflicts_of_replaced),
        )
        for action, step in steps:
            with survive(action):
                step()

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Load one instrumentation, unless it is disabled; a failing one is one warning that names it.

        Args:
            entry_point: From the group `opentelemetry_instrumentor`.
            **kwargs: For the instrumentor's `instrument`.

        Raises:
            ModuleNotFoundError: If the library to instrument is not installed, which the caller passes over.
        """
        if reason := reason_off(entry_point.name, os.environ):
            _logger.debug("%s is off by %s", entry_point.name, reason)
            return
        with survive(instrumentors.loading(entry_point.name), passing=(ModuleNotFoundError,)):
            instrumentors.load(entry_point, kwargs)


def apply_defaults(env: MutableMapping[str, str]) -> None:
    """Set each default that the user has not set.

    An empty OTEL_ variable is an unset one (https://opentelemetry.io/docs/specs/otel/configuration/
    sdk-environment-variables/#parsing-empty-value); an empty list of this distro's own is an empty list.

    Args:
        env: The process's environment, changed in place.
    """
    for variable, value in {**DEFAULTS, DISABLED_VARIABLE: off_by_default(env)}.items():
        if variable.startswith("OTEL_") and not env.get(variable, "").strip():
            env[variable] = value
        env.setdefault(variable, value)


def exclude_operational_paths(env: MutableMapping[str, str]) -> None:
    """Leave health and metrics paths out of request telemetry, unless the user has a list of excluded URLs.

    A variable for one framework hides the one for all, so none is set where the user set the latter.

    Args:
        env: The process's environment, changed in place.
    """
    if "OTEL_PYTHON_EXCLUDED_URLS" in env:
        return
    for framework in ("FASTAPI", "DJANGO"):
        env.setdefault(f"OTEL_PYTHON_{framework}_EXCLUDED_URLS", OPERATIONAL_PATHS)
