"""The bridge as an instrumentation; `ANSFLOW_PROMETHEUS_BRIDGE=true` has it loaded."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Metric

from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.prometheus_bridge.conversion import metrics_of
from ansflow_instrumentation.prometheus_bridge.producer import add_metrics, sdk_takes_metrics
from ansflow_instrumentation.prometheus_bridge.registry import RegistryReader
from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.workers.observed import ObservedMetric

__all__ = ["EXCLUDED", "PrometheusBridgeInstrumentor", "excluded_names"]

EXCLUDE = "ANSFLOW_PROMETHEUS_BRIDGE_EXCLUDE"

EXCLUDED = (
    # django-prometheus
    "django_http_*",
    # starlette_exporter
    "starlette_request*",
    "starlette_response*",
    # prometheus-fastapi-instrumentator
    "http_requests_total",
    "http_requests_inprogress",
    "http_request_size_bytes",
    "http_response_size_bytes",
    "http_request_duration_seconds",
    "http_request_duration_highr_seconds",
)
"""Families that are left out unless the user says otherwise: requests, which are recorded already."""


class PrometheusBridgeInstrumentor(BaseInstrumentor):  # type: ignore[misc] # untyped, as above
    """Exports what the application records with prometheus_client."""

    _reader: RegistryReader | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Name what is needed.

        Returns:
            Requirements.
        """
        return ("prometheus_client >= 0.12",)

    def _instrument(self, **kwargs: Any) -> None:
        provider = kwargs.get("meter_provider") or get_meter_provider()
        if not isinstance(provider, MeterProvider) or not sdk_takes_metrics():
            return
        self._reader = reader = RegistryReader(excluded_names(os.environ))
        add_metrics(provider, self._metrics)
        when_imported("prometheus_client", reader.leave_out_files_of_predecessors)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._forked
            )

    def _uninstrument(self, **kwargs: Any) -> None:
        self._reader = None

    def _metrics(self) -> Sequence[Metric]:
        reader = self._reader
        if reader is None:
            return []
        metrics = []
        times = reader.times()
        for family in reader.families():
            with survive(f"Converting {family.name}"):
                converted = metrics_of(family, times)
                if not reader.has_recorded(family):
                    converted = [ObservedMetric(**vars(metric)) for metric in converted]
                metrics += converted
        return metrics

    def _before_fork(self) -> None:
        if self._reader is not None:
            with survive("Noting what was recorded with prometheus_client before a fork"):
                self._reader.prepare_fork()

    def _after_fork(self) -> None:
        if self._reader is not None:
            self._reader.go_on()

    def _forked(self) -> None:
        if self._reader is not None:
            with survive("Taking off what was recorded with prometheus_client before a fork"):
                self._reader.start_over()


def excluded_names(env: Mapping[str, str]) -> Sequence[str]:
    """Read which families are left out.

    Args:
        env: The process's environment.

    Returns:
        Patterns of names; the defaults where nothing is set, none where an empty list is.
    """
    if EXCLUDE not in env:
        return EXCLUDED
    return [pattern for entry in env[EXCLUDE].split(",") if (pattern := entry.strip())]
