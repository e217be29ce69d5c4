"""The services' standard metrics that dashboards and rules use beside the published names.

One table, so that what is drawn and alerted on is what the Collector is seen to serve
(tests/integration/test_collector_standard_names.py), and what the running system has (tests/e2e).
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "up_down_counter", "gauge", "histogram"]


@dataclass(frozen=True)
class StandardMetric:
    """An instrument, and what it is called in Prometheus.

    Args:
        name: Of the series; a histogram's without its suffixes.
        instrument: Its name as the services record it.
        kind: Of the instrument.
        unit: UCUM.
        attributes: Those by which it is summed or selected.
    """

    name: str
    instrument: str
    kind: Kind
    unit: str
    attributes: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The type that it has in Prometheus."""
        return "gauge" if self.kind == "up_down_counter" else self.kind

    @property
    def labels(self) -> set[str]:
        """The attributes as labels."""
        return {attribute.replace(".", "_") for attribute in self.attributes}


_POOL = "db.client.connection.pool.name"

STANDARD_METRICS = (
    StandardMetric(
        "db_client_connection_count",
        "db.client.connection.count",
        "up_down_counter",
        "{connection}",
        (_POOL, "db.client.connection.state"),
    ),
    StandardMetric(
        "db_client_connection_max", "db.client.connection.max", "up_down_counter", "{connection}", (_POOL,)
    ),
    StandardMetric(
        "http_client_request_duration_seconds",
        "http.client.request.duration",
        "histogram",
        "s",
        ("server.address", "server.port"),
    ),
    StandardMetric("ansflow_eventloop_lag_seconds", "ansflow.eventloop.lag", "histogram", "s"),
    StandardMetric(
        "ansflow_threadpool_threads",
        "ansflow.threadpool.threads",
        "up_down_counter",
        "{thread}",
        ("pool", "state"),
    ),
    StandardMetric(
        "ansflow_threadpool_limit", "ansflow.threadpool.limit", "up_down_counter", "{thread}", ("pool",)
    ),
    StandardMetric(
        "ansflow_threadpool_queue", "ansflow.threadpool.queue", "up_down_counter", "{call}", ("pool",)
    ),
    StandardMetric(
        "ansflow_gc_pause_duration_seconds",
        "ansflow.gc.pause.duration",
        "histogram",
        "s",
        ("cpython.gc.generation",),
    ),
    StandardMetric("process_cpu_time_seconds_total", "process.cpu.time", "counter", "s"),
    StandardMetric("process_memory_usage_bytes", "process.memory.usage", "up_down_counter", "By"),
    StandardMetric(
        "cpython_gc_collections_total",
        "cpython.gc.collections",
        "counter",
        "{collection}",
        ("cpython.gc.generation",),
    ),
    StandardMetric("process_thread_count", "process.thread.count", "up_down_counter", "{thread}"),
    StandardMetric(
        "process_unix_file_descriptor_count",
        "process.unix.file_descriptor.count",
        "up_down_counter",
        "{file_descriptor}",
    ),
    StandardMetric("process_uptime_seconds", "process.uptime", "gauge", "s"),
)
