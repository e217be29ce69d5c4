"""Pushing metrics to a Collector by OTLP, http/protobuf."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

from ansflow_gateway.domain.urls import masked
from ansflow_gateway.exporters.outage import REMIND_AFTER_S as REMIND_AFTER_S
from ansflow_gateway.exporters.outage import Outage, PushState, Withheld
from ansflow_gateway.exporters.push import PUSH_DELAY_S, PushReader
from ansflow_gateway.exporters.requests import MOST_BYTES, split
from ansflow_gateway.exporters.table_metrics import TableMetrics

_LOG: Final = logging.getLogger(__name__)

_ENOUGH: Final = 2
"""Failures in a row, after which the rest of a push isn't tried: each may take the whole timeout."""

_SAID: Final = Withheld("opentelemetry.exporter.otlp.proto.http.metric_exporter")


class SteadyExporter(MetricExporter):
    """Exports through another exporter, and says once that a Collector is gone instead of at every push.

    The OTLP exporter's own log lines (several for each failed push) are kept from the log
    and used as the explanation of the outage.

    A push is cut into requests of bounded size. It has failed if any of them did; each was tried once, unless
    two in a row failed: then there is nobody to be tried any more.

    Args:
        exporter: Does the work.
        endpoint: Where it pushes to, for the log.
        clock: Monotonic time, in seconds.
        most_bytes: Most bytes of a request.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        endpoint: str,
        clock: Callable[[], float] = time.monotonic,
        most_bytes: int = MOST_BYTES,
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
        self._most_bytes = most_bytes
        self.unsent: Sequence[MetricsData] = ()
        """Requests of the last push that weren't taken."""
        self.away = False
        """Whether nothing of the last push was taken."""

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
        unsent: list[MetricsData] = []
        taken = failed_in_a_row = 0
        for request in split(metrics_data, self._most_bytes):
            if failed_in_a_row < _ENOUGH and self._taken(request, timeout_millis, **kwargs):
                taken += 1
                failed_in_a_row = 0
            else:
                failed_in_a_row += 1
                unsent.append(request)
        self.unsent, self.away = unsent, not taken
        self._outage.end(succeeded=not unsent)
        return MetricExportResult.FAILURE if unsent else MetricExportResult.SUCCESS

    def _taken(self, request: MetricsData, timeout_millis: float, **kwargs: object) -> bool:
        result = self._exporter.export(request, timeout_millis=timeout_millis, **kwargs)
        return result is MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush what the exporter buffers; see `MetricExporter.force_flush`."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Shut the exporter down; see `MetricExporter.shutdown`."""
        self._exporter.shutdown(timeout_millis, **kwargs)


def build_push_reader(
    endpoint: str,
    interval_s: float,
    table: TableMetrics | None = None,
    delay_s: float = PUSH_DELAY_S,
    most_bytes: int = MOST_BYTES,
) -> tuple[PushReader, SteadyExporter]:
    """Build the reader that pushes at an interval and on changes, in a thread of its own that starts at once.

    Headers, timeout, compression and certificates are the exporter's own business: it reads the standard
    `OTEL_EXPORTER_OTLP_*` variables.

    Args:
        endpoint: Full URL that metrics are posted to.
        interval_s: Time between two pushes of everything, in seconds.
        table: What is pushed besides the SDK's instruments, and on changes.
        delay_s: Time from a change to its push, in seconds.
        most_bytes: Most bytes of a request.

    Returns:
        The reader, whose `notice` is to be called after changes, and the exporter whose `state` tells how it
        goes.
    """
    exporter = SteadyExporter(OTLPMetricExporter(endpoint=endpoint), masked(endpoint), most_bytes=most_bytes)
    reader = PushReader(
        exporter, interval_s, table, delay_s, away=lambda: exporter.away, unsent=lambda: exporter.unsent
    )
    return reader, exporter
