"""When metrics are pushed: all at an interval, and what changed in the table soon after the change."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricsData,
    PeriodicExportingMetricReader,
    ResourceMetrics,
)

from ansflow_gateway.exporters.table_metrics import TableMetrics

_LOG: Final = logging.getLogger(__name__)

PUSH_DELAY_S: Final = 0.5
"""Time from a change to its push, in seconds: long enough to take a burst's changes together, and short
enough for them to be on the Collector's endpoint within two seconds."""

_PUSH_TIMEOUT_MS: Final = 30_000.0


class PushReader(PeriodicExportingMetricReader):
    """Pushes from a thread of its own, one push at a time.

    Everything is pushed at an interval, as by the SDK's own periodic reader. In between, changes of the table
    are pushed a delay after `notice`; such a push has the changed series alone, since each series' totals
    stand for themselves. Of a push of which a part was taken, the changes in the rest are pushed again, a
    delay later. While nobody takes anything, everything waits for the interval.

    Args:
        exporter: Does the work.
        interval_s: Time between two pushes of everything, in seconds.
        table: What is pushed besides the SDK's instruments, under its own resource; None is nothing yet: it
            may be set later.
        delay_s: Time from a change to its push, and least time between two such pushes, in seconds.
        away: Tells whether nothing of the last push was taken.
        unsent: Tells which requests of the last push weren't taken.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        interval_s: float,
        table: TableMetrics | None = None,
        delay_s: float = PUSH_DELAY_S,
        away: Callable[[], bool] = lambda: False,
        unsent: Callable[[], Sequence[MetricsData]] = lambda: (),
    ) -> None:
        # Without an interval the SDK's reader starts no thread of its own.
        super().__init__(exporter, export_interval_millis=math.inf)
        self._interval_s = interval_s
        self.table = table
        self._delay_s = delay_s
        self._away = away
        self._unsent = unsent
        self._noticed = threading.Event()
        self._ending = threading.Event()
        self._last_push_ms = _PUSH_TIMEOUT_MS
        self._received = False
        self._pushing = threading.Thread(target=self._run, name="ansflow-push", daemon=True)
        self._pushing.start()

    def notice(self) -> None:
        """Note that the table has changed; cheap, and from any thread."""
        if not self._noticed.is_set():
            self._noticed.set()

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Push everything a last time and end; see `MetricReader.shutdown`.

        Args:
            timeout_millis: Time that all of it may take.
            **kwargs: Taken for the sake of the base class.
        """
        ends_at = time.monotonic() + timeout_millis / 1000
        self._last_push_ms = timeout_millis
        self._ending.set()
        self._noticed.set()  # it may be waited for
        self._pushing.join(timeout_millis / 1000)
        super().shutdown(max(0.0, ends_at - time.monotonic()) * 1000, **kwargs)

    def _run(self) -> None:
        due = time.monotonic() + self._interval_s
        while not self._ending.is_set():
            if self._noticed.wait(max(0.0, due - time.monotonic())):
                self._ending.wait(min(self._delay_s, max(0.0, due - time.monotonic())))
            if self._ending.is_set():
                break
            # Before the table is read: what changes from here on is noticed again.
            self._noticed.clear()
            if time.monotonic() >= due:
                self._survive(lambda: self._push_all(_PUSH_TIMEOUT_MS))
                due = time.monotonic() + self._interval_s
            elif not self._away():
                self._survive(self._push_changed)
        self._survive(lambda: self._push_all(self._last_push_ms))

    def _survive(self, push: Callable[[], None]) -> None:
        try:
            push()
        except Exception:  # noqa: BLE001 - whatever one collection fails of, the next is due
            _LOG.exception("metrics couldn't be collected")

    def _push_all(self, timeout_millis: float) -> None:
        self._received = False
        self.collect(timeout_millis)
        if not self._received:
            # The SDK hands nothing over where none of its instruments has a point.
            self._receive_metrics(MetricsData(resource_metrics=[]), timeout_millis)

    def _push_changed(self) -> None:
        table = self.table
        changed = table.changed() if table else None
        if changed:
            super()._receive_metrics(MetricsData(resource_metrics=[changed]), _PUSH_TIMEOUT_MS)
            self._take_back()

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> None:
        self._received = True
        table = self.table
        if table:
            metrics_data = _joined(metrics_data, table.all())
        if metrics_data.resource_metrics:
            super()._receive_metrics(metrics_data, timeout_millis, **kwargs)
            self._take_back()

    def _take_back(self) -> None:
        unsent, table = self._unsent(), self.table
        if unsent and table:
            table.again(unsent)
            self.notice()


def _joined(data: MetricsData, table: ResourceMetrics | None) -> MetricsData:
    if table is None:
        return data
    if not data.resource_metrics:
        return MetricsData(resource_metrics=[table])
    # A reader belongs to one provider, which has one resource.
    (only,) = data.resource_metrics
    if only.resource != table.resource:
        return MetricsData(resource_metrics=[only, table])
    scopes = list(only.scope_metrics)
    for added in table.scope_metrics:
        for place, scope in enumerate(scopes):
            if scope.scope == added.scope:
                # One entry a scope: of two, the encoder sends the last alone.
                scopes[place] = replace(scope, metrics=[*scope.metrics, *added.metrics])
                break
        else:
            scopes.append(added)
    return MetricsData(resource_metrics=[replace(only, scope_metrics=scopes)])
