"""Pushing metrics to a Collector by OTLP, http/protobuf."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from ansflow_gateway.domain.urls import masked

_LOG: Final = logging.getLogger(__name__)

REMIND_AFTER_S: Final = 300.0
"""Time between two log lines about one outage, in seconds."""

_LIBRARY_LOGGER: Final = "opentelemetry.exporter.otlp.proto.http.metric_exporter"


@dataclass(frozen=True, slots=True)
class PushState:
    """How pushing goes.

    Args:
        failures: Pushes that failed since the last that succeeded.
        problem: What the exporter last said about it; None while it goes well.
        under_way: Whether a push is being made.
    """

    failures: int = 0
    problem: str | None = None
    under_way: bool = False


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
        self._endpoint = endpoint
        self._clock = clock
        self._reminded_at = 0.0
        # Stays for good: a push that is cut short at the end still speaks after the shutdown.
        logging.getLogger(_LIBRARY_LOGGER).addFilter(_SAID)
        self.state = PushState()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Export once; see `MetricExporter.export`."""
        _SAID.messages.clear()
        before = self.state
        self.state = replace(before, under_way=True)
        result = self._exporter.export(metrics_data, timeout_millis=timeout_millis, **kwargs)
        if result is MetricExportResult.SUCCESS:
            self.state = PushState()
            if before.failures:
                _LOG.info("metrics are pushed again", extra={"failed_pushes": before.failures})
        else:
            said = "; ".join(_SAID.messages) or "no explanation"
            self.state = PushState(before.failures + 1, f"{self._endpoint}: {said}")
            now = self._clock()
            if not before.failures or now - self._reminded_at >= REMIND_AFTER_S:
                self._reminded_at = now
                _LOG.warning(
                    "metrics can't be pushed; their totals are kept and pushed later",
                    extra={"failed_pushes": self.state.failures, "problem": self.state.problem},
                )
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush what the exporter buffers; see `MetricExporter.force_flush`."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Shut the exporter down; see `MetricExporter.shutdown`."""
        self._exporter.shutdown(timeout_millis, **kwargs)


class _Withheld(logging.Filter):
    """Keeps a logger's records from the log and remembers the latest distinct texts."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: deque[str] = deque(maxlen=2)

    def filter(self, record: logging.LogRecord) -> bool:
        self.messages.append(record.getMessage()[:300])
        return False


_SAID: Final = _Withheld()
"""One for the process, as the logger is; `addFilter` adds it once."""


def build_push_reader(
    endpoint: str, interval_s: float
) -> tuple[PeriodicExportingMetricReader, SteadyExporter]:
    """Build the reader that pushes at an interval, in a thread of its own that starts at once.

    Headers, timeout, compression and certificates are the exporter's own business: it reads the standard
    `OTEL_EXPORTER_OTLP_*` variables.

    Args:
        endpoint: Full URL that metrics are posted to.
        interval_s: Time between two pushes, in seconds.

    Returns:
        The reader, and the exporter whose `state` tells how it goes.
    """
    exporter = SteadyExporter(OTLPMetricExporter(endpoint=endpoint), masked(endpoint))
    return PeriodicExportingMetricReader(exporter, export_interval_millis=interval_s * 1000), exporter
