"""What several processes record with prometheus_client is counted once."""

import threading
from collections import Counter
from pathlib import Path

import pytest
from ansflow_instrumentation.prometheus_bridge.registry import RegistryReader
from support.exported_points import newest
from support.instrumented_service import StartService, run_python
from support.otlp_receiver import OtlpReceiver

ON = {"ANSFLOW_PROMETHEUS_BRIDGE": "true"}

FILES_OF_A_PREDECESSOR = """
import os, subprocess, sys
directory = os.environ["PROMETHEUS_MULTIPROC_DIR"]
before = f'''
from prometheus_client.values import MultiProcessValue
value = MultiProcessValue(lambda: {os.getpid()})
value("counter", "orders", "orders_total", (), (), "Orders").inc(7)
'''
plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
subprocess.run([sys.executable, "-c", before], env=plain, check=True)
assert os.listdir(directory) == [f"counter_{os.getpid()}.db"]

from prometheus_client import Counter
orders = Counter("orders", "Orders")
orders.inc(2)
if not os.fork():
    orders.inc(3)
"""

FORKING_COLLECTOR = """
import os
from prometheus_client import REGISTRY, Counter

class Forking:
    asked = 0

    def collect(self):
        self.asked += 1
        if self.asked > 1:
            return []
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        return []

REGISTRY.register(Forking())
Counter("orders", "Orders").inc(2)
"""

OF_A_TABLE = """
from prometheus_client import REGISTRY, Counter
from prometheus_client.core import CounterMetricFamily

class Rows:
    def collect(self):
        yield CounterMetricFamily("rows", "Rows", value=1000)

REGISTRY.register(Rows())
Counter("orders", "Orders").inc(2)
"""

REQUESTS = 60


@pytest.mark.parametrize("multiprocess", [True, False], ids=["multiprocess", "each its own"])
def test_finding_8_workers_counts_are_summed_once(
    multiprocess: bool, receiver: OtlpReceiver, start: StartService, tmp_path: Path
) -> None:
    """Counts from before the fork, of workers that live and of recycled ones: each is counted once."""
    variables = dict(ON)
    if multiprocess:
        (tmp_path / "prometheus").mkdir()
        variables["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "prometheus")
    service = start(
        *("gunicorn", "prometheus_orders:application", "--bind", "127.0.0.1:{port}", "--preload"),
        *("--workers", "2", "--max-requests", "10"),
        variables=variables,
    )
    for _ in range(REQUESTS):
        assert service.get("/").body == "taken"
    service.stop()

    counted: Counter[str] = Counter()
    for key, point in newest(receiver, "shop_orders").items():
        counted[key[-1]] += int(point.as_double)
    assert counted == {"at the start": 5, "online": REQUESTS}
    sizes = newest(receiver, "shop_order_size").values()
    assert sum(point.count for point in sizes) == 5 + REQUESTS
    assert sum(point.sum for point in sizes) == 5 * 7 + REQUESTS * 3
    assert [sum(counts) for counts in zip(*(point.bucket_counts for point in sizes), strict=True)] == [
        0,
        5 + REQUESTS,
        0,
    ]


def test_files_of_a_process_with_the_same_id_are_not_counted_again(
    receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """prometheus_client goes on from what it finds in a file of its id; that was exported by who wrote it."""
    directory = tmp_path / "prometheus"
    directory.mkdir()
    variables = {**ON, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    finished = run_python(FILES_OF_A_PREDECESSOR, receiver, tmp_path, variables=variables)
    assert finished.returncode == 0, finished.stderr
    assert sorted(point.as_double for point in newest(receiver, "orders").values()) == [2, 3]


def test_a_collector_that_forks_holds_nobody_up(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A collector is asked while it is registered, under the registry's lock: a fork does not wait for it."""
    finished = run_python(FORKING_COLLECTOR, receiver, tmp_path, variables=ON)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert [point.as_double for point in newest(receiver, "orders").values()] == [2]


def test_what_a_collector_reads_is_not_added_up(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A successor goes on from what its predecessor has counted, not from what both read of a table."""
    for _ in range(2):
        process = run_python(OF_A_TABLE, receiver, tmp_path, variables=ON)
        assert (process.returncode, process.stderr) == (0, "")
    assert receiver.sums("rows") == {("rows",): 1000}
    assert receiver.sums("orders") == {("orders",): 4}


def test_two_threads_that_fork_at_once_leave_it_readable() -> None:
    """The one that could not have the lock in time takes nothing from the other, who gives it back."""
    reader = RegistryReader([])

    def fork() -> None:
        reader.prepare_fork()
        reader.go_on()

    reader.prepare_fork()
    other = threading.Thread(target=fork, daemon=True)
    other.start()
    other.join()
    reader.go_on()
    reading = threading.Thread(target=lambda: list(reader.families()), daemon=True)
    reading.start()
    reading.join(10)
    assert not reading.is_alive()
