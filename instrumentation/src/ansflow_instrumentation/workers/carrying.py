"""Between a periodic reader and its exporter: the totals of the slot, and the farewell at the end.

Only public types of the SDK are used, but for the place of the exporter in its reader (and see `observed`).
"""

import contextlib
import dataclasses
import logging
import os
import time
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, Resource
from opentelemetry.sdk.version import __version__ as sdk_version

from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.workers import identity
from ansflow_instrumentation.workers.farewell import say_farewell
from ansflow_instrumentation.workers.observed import Observed, observed_by
from ansflow_instrumentation.workers.totals import Totals

__all__ = ["CarryingExporter", "carry_totals_on", "start_over"]

_logger = logging.getLogger(__name__)


class CarryingExporter(MetricExporter):
    """Adds the totals of the slot before it exports.

    Args:
        exporter: Does the rest.
        name: Tells this process's exporters apart.
        observed: Tells which metrics are of observable instruments.
    """

    def __init__(self, exporter: MetricExporter, name: str, observed: Callable[[], Observed]) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self._name = name
        self._observed = observed
        self._totals: Totals | None = None
        self._is_ready = False
        self._resource: Resource | None = None
        self._last: MetricsData | None = None
        _exporters.add(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Add the totals of the slot, and export.

        Args:
            metrics_data: What was collected.
            timeout_millis: For the exporter.
            **kwargs: For the exporter.

        Returns:
            The exporter's result.
        """
        with survive("Carrying the totals of the worker before on"):
            if not self._is_ready:
                self._is_ready = True
                self._prepare()
            if self._totals is not None:
                metrics_data = self._totals.added_to(metrics_data)
            elif self._resource is not None:
                metrics_data = _of_another(self._resource, metrics_data)
        self._last = metrics_data
        return self._exporter.export(metrics_data, timeout_millis=timeout_millis, **kwargs)

    def _prepare(self) -> None:
        slot = identity.slot_of_this_process()
        if slot is None:
            return
        if _may_write(slot.files.parent):
            file = slot.files.with_name(f"{slot.files.name}.{self._name}.json")
            self._totals = Totals(file, time.time(), self._observed)
        else:
            # A master of root's whose workers are another user's, say. A slot whose sums begin at zero each
            # time would be worse than none: not every reset is seen as one.
            self._resource = Resource({SERVICE_INSTANCE_ID: str(uuid.uuid4())})
            _logger.warning(
                "%s is not this user's any more: metrics of this worker have a random service.instance.id",
                slot.files.parent,
            )

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Have the exporter flush.

        Args:
            timeout_millis: For the exporter.

        Returns:
            The exporter's result.
        """
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """End what belongs to this process, and shut the exporter down.

        Args:
            timeout_millis: For the exporter.
            **kwargs: For the exporter.
        """
        if self._last is not None:
            with survive("Ending the series of this process"):
                say_farewell(self._exporter, self._last)
        self._exporter.shutdown(timeout_millis, **kwargs)

    def start_over(self) -> None:
        """Go on from another slot, in a forked child."""
        self._totals, self._resource, self._last = None, None, None
        self._is_ready = False


_exporters: "weakref.WeakSet[CarryingExporter]" = weakref.WeakSet()


def carry_totals_on(provider: Any) -> None:
    """Put the totals between a meter provider's periodic readers and their exporters.

    Args:
        provider: The SDK's; another one has no readers.
    """
    if isinstance(provider, MeterProvider) and not hasattr(provider, "_metric_readers"):
        _warn_of_zero()
    for place, reader in enumerate(getattr(provider, "_metric_readers", ())):
        if not isinstance(reader, PeriodicExportingMetricReader):
            continue
        exporter = getattr(reader, "_exporter", None)
        observed = None
        with contextlib.suppress(AttributeError, KeyError):
            observed = observed_by(provider, reader)
        if isinstance(exporter, MetricExporter) and observed is not None:
            reader._exporter = CarryingExporter(exporter, str(place), observed)
        else:
            _warn_of_zero()


def _warn_of_zero() -> None:
    _logger.warning(
        "opentelemetry-sdk %s is not built as expected: a worker's successor begins at zero",
        sdk_version,
    )


def _may_write(folder: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)


def _of_another(resource: Resource, data: MetricsData) -> MetricsData:
    return MetricsData(
        [dataclasses.replace(one, resource=one.resource.merge(resource)) for one in data.resource_metrics]
    )


def start_over() -> None:
    """Let each exporter of a forked child go on from the child's own slot."""
    for exporter in list(_exporters):
        exporter.start_over()
