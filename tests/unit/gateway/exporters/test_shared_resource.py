"""What one of several gateways pushes for all."""

import time

from ansflow_gateway.exporters.otlp import build_push_reader
from ansflow_gateway.exporters.resource import build_shared_resource
from ansflow_gateway.exporters.table_metrics import TableMetrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from support.exported_points import newest
from support.otlp_receiver import OtlpReceiver
from support.polling import poll_until
from support.tables import CALLS, empty_table

OWN = Resource({"service.instance.id": "gateway", "host.name": "host"})


def test_a_table_of_others_too_is_pushed_as_theirs() -> None:
    """What one gateway tells for all has a resource of its own, at the interval as after a change."""
    with OtlpReceiver() as receiver:
        table = empty_table()
        shared = build_shared_resource(OWN, "db:5432/events")
        assert dict(shared.attributes) == {"service.instance.id": "db:5432/events"}
        told = TableMetrics(table, shared, InstrumentationScope("scope"), time.time())
        reader, _ = build_push_reader(f"{receiver.endpoint}/v1/metrics", 0.3, told)
        provider = MeterProvider(metric_readers=[reader], resource=OWN, shutdown_on_exit=False)
        try:
            provider.get_meter("scope").create_counter("test.own").add(1)
            with table.lock:
                table.add(CALLS, ("db", "success"), 1, time.time())
            reader.notice()

            def is_there() -> None:
                assert {instance for instance, *_ in newest(receiver, "test.calls")} == {"db:5432/events"}
                assert {instance for instance, *_ in newest(receiver, "test.own")} == {"gateway"}

            poll_until(is_there, interval=0.01, timeout=10)
        finally:
            provider.shutdown(timeout_millis=5000)
