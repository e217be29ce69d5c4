"""What a forked child has of its parent: nothing. In subprocesses, with the real SDK and exporters."""

import signal
from pathlib import Path

import pytest
from ansflow_instrumentation.workers import forks
from opentelemetry.sdk.metrics._internal.metric_reader_storage import MetricReaderStorage
from support.instrumented_service import StartService, run_python
from support.otlp_receiver import OtlpReceiver
from support.vanilla import VANILLA

BUFFERED = {"OTEL_METRIC_EXPORT_INTERVAL": "600000", "OTEL_LOGS_EXPORTER": "none"}

COUNT_THEN_FORK = """
import os, signal, sys, threading
from opentelemetry import metrics

meter = metrics.get_meter("test")
orders = meter.create_counter("shop.orders")
orders.add(5)
seconds = meter.create_histogram("shop.seconds")
seconds.record(1)
{before}
pid = os.fork()
if not pid:
    signal.alarm(8)  # ends a child that hangs
    orders.add(1)
    seconds.record(1)
    meter.create_counter("shop.more").add(1)
    sys.exit(0)
{after}
status = os.waitpid(pid, 0)[1]
print("child ended by", os.waitstatus_to_exitcode(status))
"""

HOLD_LOCKS = """
consumer = metrics.get_meter_provider()._measurement_consumer
locks = [consumer._lock]
for storage in consumer._reader_storages.values():
    locks.append(storage._lock)
    for matches in storage._instrument_view_instrument_matches.values():
        for match in matches:
            locks.append(match._lock)
            locks += [aggregation._lock for aggregation in match._attributes_aggregation.values()]
locks += [meter._instrument_registration_lock for meter in metrics.get_meter_provider()._meters.values()]
locks += [meter._instrument_ids_lock for meter in metrics.get_meter_provider()._meters.values()]
locks += [reader._export_lock for reader in consumer._reader_storages]
locks += [reader._shutdown_event._cond._lock for reader in consumer._reader_storages]
held, release = threading.Event(), threading.Event()
def hold():
    for lock in locks: lock.acquire()
    held.set()
    release.wait()
    for lock in locks: lock.release()
holder = threading.Thread(target=hold)
holder.start()
held.wait()
"""

RELEASE_LOCKS = """
release.set()
holder.join()
"""


def _run(
    receiver: OtlpReceiver, directory: Path, *, locked: bool = False, vanilla: bool = False
) -> tuple[str, int, int]:
    program = COUNT_THEN_FORK.format(
        before=HOLD_LOCKS if locked else "", after=RELEASE_LOCKS if locked else ""
    )
    variables = {**BUFFERED, **(VANILLA if vanilla else {})}
    process = run_python(program, receiver, directory, variables=variables)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip(), receiver.sums("shop.orders").total(), receiver.sums("shop.more").total()


@pytest.mark.parametrize("locked", [False, True], ids=["", "locks-held"])
def test_a_child_has_neither_sums_nor_held_locks(
    receiver: OtlpReceiver, tmp_path: Path, locked: bool
) -> None:
    """What was counted before the fork is counted once (core#3885), and no lock is stuck (core#4345)."""
    assert _run(receiver, tmp_path, locked=locked) == ("child ended by 0", 6, 1)
    assert receiver.histogram_counts("shop.seconds") == 2


def test_vanilla_counts_again_in_the_child(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Without this package the child goes on from its parent's sums (core#3885)."""
    assert _run(receiver, tmp_path, vanilla=True) == ("child ended by 0", 5 + 6, 1)


def test_vanilla_hangs_in_the_child(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Without this package a lock that another thread held at the fork is held for ever (core#4345)."""
    stdout, *_ = _run(receiver, tmp_path, locked=True, vanilla=True)
    assert stdout == f"child ended by {-signal.SIGALRM}"


def test_many_children_of_a_parent_that_exports_all_the_time(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Counts of all are exact and nothing is raised, with readers that tick meanwhile (core#3402)."""
    program = """
import multiprocessing, time
from opentelemetry import metrics

orders = metrics.get_meter("test").create_counter("shop.orders")
seconds = metrics.get_meter("test").create_histogram("shop.seconds")
def work():
    for _ in range(50):
        orders.add(1)
        seconds.record(1)
        time.sleep(0.001)
work()
context = multiprocessing.get_context("fork")
for _ in range(5):
    children = [context.Process(target=work) for _ in range(4)]
    for child in children: child.start()
    work()
    for child in children: child.join()
    assert [child.exitcode for child in children] == [0] * 4
"""
    process = run_python(
        program, receiver, tmp_path, variables={**BUFFERED, "OTEL_METRIC_EXPORT_INTERVAL": "20"}
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert receiver.sums("shop.orders") == {("shop.orders",): 50 * (1 + 5 * 5)}
    assert receiver.histogram_counts("shop.seconds") == 50 * (1 + 5 * 5)
    # Twenty children, four at a time, are four slots beside their parent's.
    assert len(receiver.instances()) == 5


def test_a_child_uses_none_of_its_parents_connections(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Idle connections of the exporters stay the parent's: two processes never write into one socket."""
    program = """
import os
from opentelemetry import metrics, trace

metrics.get_meter("test").create_counter("shop.orders").add(1)
trace.get_tracer("test").start_span("order").end()
metrics.get_meter_provider().force_flush()
trace.get_tracer_provider().force_flush()
reader = metrics.get_meter_provider()._metric_readers[0]
processor = trace.get_tracer_provider()._active_span_processor._span_processors[0]
def pools():
    exporters = reader._exporter, processor._batch_processor._exporter
    sessions = [exporter._client._transport._session for exporter in exporters]
    return [len(session.get_adapter("http://")  .poolmanager.pools) for session in sessions]
print(pools(), flush=True)
if not os.fork():
    print(pools(), flush=True)
    os._exit(0)
os.wait()
"""
    process = run_python(program, receiver, tmp_path, variables=BUFFERED)
    assert process.stdout.splitlines() == ["[1, 1]", "[0, 0]"], process.stderr


PRELOADED = (
    "gunicorn",
    "--bind",
    "127.0.0.1:{port}",
    "--preload",
    "--workers",
    "4",
    "counting_shop:application",
)


def test_preloaded_workers_sum_up_exactly(start: StartService, receiver: OtlpReceiver) -> None:
    """Four workers under `--preload`, with counts before the fork: the sum over all is exact."""
    service = start(*PRELOADED, variables=BUFFERED)
    service.get_many("/", 200)
    output = service.stop()
    assert receiver.sums("shop.imports") == {("shop.imports",): 3}, output
    assert receiver.sums("shop.requests") == {("shop.requests",): 200}, output
    assert "Error" not in output


def test_another_sdk_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the SDK is not built as expected, forks are left to it, with one warning."""
    monkeypatch.setattr(MetricReaderStorage, "__init__", lambda self, config: None)
    forks.sdk_can_forget.cache_clear()
    try:
        assert not forks.sdk_can_forget()
        forks.forget_the_parent()
        assert caplog.text.count("is not built as expected") == 1
    finally:
        forks.sdk_can_forget.cache_clear()
