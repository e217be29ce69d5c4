"""When metrics are pushed: soon after a change, not more often than that, and a last time."""

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from ansflow_gateway.exporters.otlp import build_push_reader
from ansflow_gateway.exporters.push import PushReader
from ansflow_gateway.exporters.table_metrics import TableMetrics
from ansflow_gateway.meters.table import Table
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from support.otlp_receiver import OtlpReceiver, attributes_of
from support.polling import poll_until
from support.tables import CALLS, empty_table

RESOURCE = Resource({"service.instance.id": "gateway"})
NEVER_S = 3600.0


def metrics_of(table: Table) -> TableMetrics:
    """Make the metrics of a table."""
    return TableMetrics(table, RESOURCE, InstrumentationScope("scope"), time.time())


@contextmanager
def provided(reader: PushReader) -> Iterator[MeterProvider]:
    """Give a reader its provider, and shut both down."""
    provider = MeterProvider(metric_readers=[reader], resource=RESOURCE, shutdown_on_exit=False)
    try:
        yield provider
    finally:
        provider.shutdown(timeout_millis=5000)


def count(table: Table, reader: PushReader) -> None:
    """Change the table, as its owner does."""
    with table.lock:
        table.add(CALLS, ("db", "success"), 1, time.time())
    reader.notice()


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """Give a receiver that is there."""
    with OtlpReceiver() as receiver:
        yield receiver


def test_a_change_is_with_the_collector_within_two_seconds(receiver: OtlpReceiver) -> None:
    """With the default delay and interval, each of some changes is received within two seconds."""
    table = empty_table()
    reader, exporter = build_push_reader(f"{receiver.endpoint}/v1/metrics", 5.0, metrics_of(table))
    with provided(reader):
        waits = []
        for number in range(1, 7):
            began = time.monotonic()
            count(table, reader)

            def is_there(expected: int = number) -> None:
                assert receiver.sums("test.")["test.calls", "db", "success"] == expected

            poll_until(is_there, interval=0.01, timeout=10)
            waits.append(time.monotonic() - began)
        assert max(waits) <= 2.0
        assert exporter.state.failures == 0


def test_a_burst_of_changes_is_one_push_a_delay(receiver: OtlpReceiver) -> None:
    """However many changes there are, pushes come a delay apart, and the last change isn't forgotten."""
    table = empty_table()
    reader, _ = build_push_reader(f"{receiver.endpoint}/v1/metrics", NEVER_S, metrics_of(table), delay_s=0.2)
    with provided(reader):
        ends_at = time.monotonic() + 1.0
        changes = 0
        while time.monotonic() < ends_at:
            count(table, reader)
            changes += 1
            time.sleep(0.001)

        def is_there() -> None:
            assert receiver.sums("test.")["test.calls", "db", "success"] == changes

        poll_until(is_there, interval=0.01, timeout=10)
        assert 1 <= len(receiver.metrics) <= 7


def test_the_table_may_come_after_the_reader(receiver: OtlpReceiver) -> None:
    """A reader that was started without a table pushes it from when it is set, all of it at the interval."""
    table = empty_table()
    reader, _ = build_push_reader(f"{receiver.endpoint}/v1/metrics", 0.3)
    with provided(reader):
        count(table, reader)
        reader.table = metrics_of(table)

        def is_there() -> None:
            assert receiver.sums("test.")["test.calls", "db", "success"] == 1

        poll_until(is_there, interval=0.01, timeout=10)


def test_a_push_on_a_change_has_the_change_alone(receiver: OtlpReceiver) -> None:
    """Neither unchanged series nor the SDK's instruments go out before the interval, and both do at it."""
    table = empty_table()
    with table.lock:
        table.add(CALLS, ("web", "success"), 5, time.time())
    metrics = metrics_of(table)
    metrics.all()
    reader, _ = build_push_reader(f"{receiver.endpoint}/v1/metrics", 1.5, metrics, delay_s=0.05)
    with provided(reader) as provider:
        provider.get_meter("meter").create_counter("sdk.counter").add(1)
        count(table, reader)

        def is_there() -> None:
            assert receiver.metrics

        poll_until(is_there, interval=0.01, timeout=10)
        assert receiver.metric_names() == {"test.calls"}
        assert receiver.sums("test.") == {("test.calls", "db", "success"): 1}

        def all_there() -> None:
            assert receiver.metric_names() == {"test.calls", "sdk.counter"}
            assert len(receiver.sums("test.")) == 2

        poll_until(all_there, interval=0.01, timeout=10)


def test_without_changes_nothing_is_pushed_and_no_time_is_spent(receiver: OtlpReceiver) -> None:
    """The thread sleeps until the interval is over: no push, and next to no CPU."""
    table = empty_table()
    reader, _ = build_push_reader(f"{receiver.endpoint}/v1/metrics", NEVER_S, metrics_of(table))
    with provided(reader):
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.1
        assert receiver.metrics == []


def test_while_pushes_fail_changes_wait_for_the_interval(receiver: OtlpReceiver) -> None:
    """A Collector that is gone isn't tried at every change; what changed comes with the next full push."""
    table = empty_table()
    away = threading.Event()
    away.set()
    reader = PushReader(
        OTLPMetricExporter(endpoint=f"{receiver.endpoint}/v1/metrics"),
        0.6,
        metrics_of(table),
        delay_s=0.05,
        away=away.is_set,
    )
    with provided(reader):
        count(table, reader)
        time.sleep(0.3)
        assert receiver.metrics == []

        def is_there() -> None:
            assert receiver.sums("test.")["test.calls", "db", "success"] == 1

        poll_until(is_there, interval=0.01, timeout=10)


def count_many(table: Table, reader: PushReader, peers: Iterable[int], amount: int = 1) -> None:
    """Count calls of many peers with long names."""
    with table.lock:
        for peer in peers:
            table.add(CALLS, (f"{peer:0200}", "success"), amount, time.time())
    reader.notice()


def peers_in(request: ExportMetricsServiceRequest) -> list[int]:
    """Tell which peers a request is about."""
    return [
        int(attributes_of(list(point.attributes))["peer.name"])
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.sum.data_points
    ]


@pytest.mark.parametrize(("interval_s", "delay_s"), [(0.2, NEVER_S), (NEVER_S, 0.05)], ids=["all", "changes"])
def test_what_no_receiver_takes_at_once_comes_in_parts(interval_s: float, delay_s: float) -> None:
    """Of 3 MB of series, each arrives at a receiver that takes 1 MB a request, and once a push."""
    table = empty_table(10_000)
    with OtlpReceiver(most_bytes=1_000_000) as receiver:
        reader, exporter = build_push_reader(
            f"{receiver.endpoint}/v1/metrics", interval_s, metrics_of(table), delay_s=delay_s
        )
        with provided(reader):
            count_many(table, reader, range(10_000))

            def all_there() -> None:
                assert len(receiver.sums("test.calls")) == 10_000
                assert (exporter.state.failures, list(exporter.unsent)) == (0, [])

            poll_until(all_there, interval=0.1, timeout=60)
            requests = [peers_in(request) for request in list(receiver.metrics)]
        pushed = [peer for peers in requests for peer in peers]
        assert pushed[:10_000] == list(range(10_000))
        assert max(map(len, requests)) < 5_000


def test_of_a_push_that_was_refused_in_part_the_rest_is_pushed_again(receiver: OtlpReceiver) -> None:
    """The changes in the part that wasn't taken are told soon afterwards, and no others a second time."""
    table = empty_table(10_000)
    reader, exporter = build_push_reader(
        f"{receiver.endpoint}/v1/metrics", NEVER_S, metrics_of(table), delay_s=0.05, most_bytes=50_000
    )
    refused: list[list[int]] = []

    def refuses_once(request: ExportMetricsServiceRequest) -> bool:
        if refused or 300 not in peers_in(request):
            return False
        refused.append(peers_in(request))
        return True

    with provided(reader):
        receiver.refuses = refuses_once
        count_many(table, reader, range(1000))

        def all_there() -> None:
            assert len(receiver.sums("test.calls")) == 1000
            assert exporter.state.failures == 0

        poll_until(all_there, interval=0.01, timeout=30)
        requests = [peers_in(request) for request in receiver.metrics]
        assert requests[-1] == refused[0]
        assert sorted(peer for peers in requests for peer in peers) == list(range(1000))
        assert exporter.failed == 1


def test_when_nobody_takes_anything_the_rest_is_not_tried(receiver: OtlpReceiver) -> None:
    """Two requests are enough to know, and what changed comes with the next push of everything."""
    table = empty_table(10_000)
    reader, exporter = build_push_reader(
        f"{receiver.endpoint}/v1/metrics", 3.0, metrics_of(table), delay_s=0.05, most_bytes=50_000
    )
    tried: list[int] = []

    def refuses(request: ExportMetricsServiceRequest) -> bool:
        tried.append(len(peers_in(request)))
        return True

    with provided(reader):
        receiver.refuses = refuses
        count_many(table, reader, range(1000))

        def given_up() -> None:
            assert exporter.away

        poll_until(given_up, interval=0.01, timeout=30)
        assert len(tried) == 2
        assert sum(len(peers_in_data(data)) for data in exporter.unsent) == 1000
        receiver.refuses = lambda _: False

        def all_there() -> None:
            assert len(receiver.sums("test.calls")) == 1000
            assert exporter.state.failures == 0

        poll_until(all_there, interval=0.01, timeout=30)


def peers_in_data(data: MetricsData) -> list[str]:
    """Tell which peers some metrics are about."""
    return [
        str((point.attributes or {})["peer.name"])
        for group in data.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def test_the_last_push_has_the_last_change(receiver: OtlpReceiver) -> None:
    """What changed just before the shutdown, delay or not, is pushed by it; a table alone is enough."""
    table = empty_table()
    reader, _ = build_push_reader(f"{receiver.endpoint}/v1/metrics", NEVER_S, metrics_of(table), NEVER_S)
    with provided(reader):
        count(table, reader)
    assert receiver.sums("test.")["test.calls", "db", "success"] == 1


def test_the_shutdown_keeps_its_deadline_when_nobody_answers() -> None:
    """A Collector that takes the connection and says nothing can't hold the process up."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        table = empty_table()
        reader, exporter = build_push_reader(
            f"http://127.0.0.1:{mute.getsockname()[1]}/v1/metrics", NEVER_S, metrics_of(table)
        )
        provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        count(table, reader)
        began = time.monotonic()
        provider.shutdown(timeout_millis=500)
        assert time.monotonic() - began < 2.0
        assert exporter.state.under_way
