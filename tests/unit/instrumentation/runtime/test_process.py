"""Resources of processes and their garbage, of real servers and real forks."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from ansflow_instrumentation.runtime import process
from ansflow_instrumentation.runtime.observing import observing
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from support.exported_points import newest
from support.instrumented_service import StartService, run_python
from support.otlp_receiver import OtlpReceiver
from support.polling import poll_until

OFTEN = {"OTEL_METRIC_EXPORT_INTERVAL": "300"}

FORKING = """
import gc, os
for _ in range(50):
    gc.collect()
child = os.fork()
if not child:
    gc.collect()
    gc.collect()
else:
    os.waitpid(child, 0)
"""


def test_finding_3_each_prefork_worker_reports_its_own_memory(
    receiver: OtlpReceiver, start: StartService
) -> None:
    """Under --preload each worker's RSS is within 5 % of psutil's own reading; the master is no worker."""
    module = "runtime_kinds.sizes"
    service = start(
        *("gunicorn", f"{module}:application", "-c", f"python:{module}", "--preload"),
        *("--bind", "127.0.0.1:{port}", "--workers", "3"),
        variables=OFTEN,
    )
    true: dict[int, int] = {}
    listening = time.time_ns()  # what its master was before it became one may have been exported before

    def all_are_right() -> None:
        for _ in range(30):
            answer = json.loads(service.get("/").body)
            true[answer["pid"]] = answer["rss"]
        reported = sorted(p.as_int for p in newest(receiver, "process.memory.usage", listening).values())
        assert len(true) == 3
        assert reported == pytest.approx(sorted(true.values()), rel=0.05)

    poll_until(all_are_right)
    by_instance = newest(receiver, "process.uptime", listening)
    assert len(by_instance) == 3, "the master has none"


SPAWNING = {
    "uvicorn": ("uvicorn", "runtime_kinds.main:app", "--port", "{port}", "--workers", "2"),
    "hypercorn": ("hypercorn", "runtime_kinds.main:app", "--bind", "127.0.0.1:{port}", "--workers", "2"),
}


@pytest.mark.parametrize("server", SPAWNING)
def test_each_spawned_worker_reports_its_own(
    server: str, receiver: OtlpReceiver, start: StartService
) -> None:
    """Spawned workers are processes of their own; their supervisor is not among them."""
    service = start(*SPAWNING[server], variables=OFTEN)
    listening = time.time_ns()

    def both_are_there() -> None:
        workers = [
            child
            for child in psutil.Process(service.process.pid).children()
            if "spawn" in str(child.cmdline())
        ]
        true = sorted(worker.memory_info().rss for worker in workers)
        reported = sorted(p.as_int for p in newest(receiver, "process.memory.usage", listening).values())
        assert len(true) == 2
        assert reported == pytest.approx(true, rel=0.05)

    poll_until(both_are_there)


def test_a_child_begins_without_the_garbage_of_its_parent(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Collections before a fork are the parent's; pauses of both are recorded."""
    finished = run_python(FORKING, receiver, tmp_path)
    assert finished.returncode == 0, finished.stderr
    full = sorted(
        point.as_int for key, point in newest(receiver, "cpython.gc.collections").items() if key[1:] == ("2",)
    )
    assert len(full) == 2
    assert 2 <= full[0] < 10 < 50 <= full[1]
    pauses = newest(receiver, "ansflow.gc.pause.duration")
    assert {point.count >= 2 and point.sum > 0 for key, point in pauses.items() if key[1:] == ("2",)} == {
        True
    }


def test_what_is_read_is_what_psutil_reads() -> None:
    """CPU, threads, descriptors, switches are this process's own; utilization is a share of its CPUs."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    process.start(provider.get_meter("test"))
    before = _values(reader)
    until = psutil.Process().cpu_times().user + 0.2
    while psutil.Process().cpu_times().user < until:
        pass
    values = _values(reader)
    provider.shutdown()

    this = psutil.Process()
    assert values["process.cpu.time", "user"] == pytest.approx(this.cpu_times().user, abs=0.1)
    assert values["process.cpu.time", "user"] - before["process.cpu.time", "user"] >= 0.19
    assert 0 < values["process.cpu.utilization", "user"] <= 1
    assert values["process.unix.file_descriptor.count",] == pytest.approx(this.num_fds(), abs=2)
    assert values["process.thread.count",] == this.num_threads()
    assert values["process.memory.virtual",] >= values["process.memory.usage",] > 1_000_000
    assert values["process.context_switches", "involuntary"] > 0
    assert values["process.uptime",] > 0


def test_a_value_that_cannot_be_read_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """The system refuses one value: it is one warning, and all the others are there."""

    def refused() -> Iterator[tuple[float, dict[str, str | int]]]:
        yield 1.0, {}
        raise psutil.AccessDenied(os.getpid())

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("test")
    meter.create_observable_gauge("refused", [observing(refused)])
    meter.create_observable_gauge("given", [lambda _: [Observation(1)]])
    assert _values(reader) == _values(reader) == {("given",): 1}
    provider.shutdown()
    assert [record.getMessage() for record in caplog.records] == ["refused cannot be read, and is left out"]


def _values(reader: InMemoryMetricReader) -> dict[tuple[str, ...], float]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        (metric.name, *map(str, (point.attributes or {}).values())): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint)
    }
