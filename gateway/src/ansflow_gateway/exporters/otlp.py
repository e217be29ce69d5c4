"""Pushing metrics to a Collector by OTLP, http/protobuf."""

import logging
import time
from collections.abc import Callable
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

from ansflow_gateway.domain.urls import masked
from ansflow_gateway.exporters.outage import REMIND_AFTER_S as REMIND_AFTER_S
from ansflow_gateway.exporters.outage import Outage, PushState, Withheld
from ansflow_gateway.exporters.push import PUSH_DELAY_S, PushReader
from ansflow_gateway.exporters.table_metrics import TableMetrics

_LOG: Final = logging.getLogger(__name__)

_SAID: Final = Withheld("opentelemetry.exporter.otlp.proto.http.metric_exporter")


class SteadyExporter(MetricExporter):
    """Exports through another exporter, and says once that a Collector is gone instead of at every push.

    The OTLP exporter's own log lines (several for each failed push) are kept from the log
    and used as the explanation of the outage.

    Args:
        exporter: Does the work.
        endpoint: Where it pushes to, for the log.
        clock: Monotonic time, in seconds.
    """

    def __init__(
        self, exporter: MetricExporter, endpoint: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self._outage = Outage(
            _LOG,
            _SAID,
            endpoint,
            ("metrics can't be pushed; their totals are kept and pushed later", "metrics are pushed again"),
            clock,
        )

    @property
    def state(self) -> PushState:
        """How it goes."""
        return self._outage.state

    @property
    def failed(self) -> int:
        """Pushes that failed since the start; from any thread."""
        return self._outage.failed

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Export once; see `MetricExporter.export`."""
        self._outage.begin()
        result = self._exporter.export(metrics_data, timeout_millis=timeout_millis, **kwargs)
        self._outage.end(succeeded=result is MetricExportResult.SUCCESS)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush what the exporter buffers; see `MetricExporter.force_flush`."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Shut the exporter down; see `MetricExporter.shutdown`."""
        self._exporter.shutdown(timeout_millis, **kwargs)


def build_push_reader(
    endpoint: str, interval_s: float, table: TableMetrics | None = None, delay_s: float = PUSH_DELAY_S
) -> tuple[PushReader, SteadyExporter]:
    """Build the reader that pushes at an interval and on changes, in a thread of its own that starts at once.

    Headers, timeout, compression and certificates are the exporter's own business: it reads the standard
    `OTEL_EXPORTER_OTLP_*` variables.

    Args:
        endpoint: Full URL that metrics are posted to.
        interval_s: Time between two pushes of everything, in seconds.
        table: What is pushed besides the SDK's instruments, and on changes.
        delay_s: Time from a change to its push, in seconds.

    Returns:
        The reader, whose `notice` is to be called after changes, and the exporter whose `state` tells how it
        goes.
    """
    exporter = SteadyExporter(OTLPMetricExporter(endpoint=endpoint), masked(endpoint))
    reader = PushReader(exporter, interval_s, table, delay_s, failing=lambda: exporter.state.failures > 0)
    return reader, exporter
