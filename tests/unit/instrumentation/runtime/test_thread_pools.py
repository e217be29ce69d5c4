"""Thread pools of real servers."""

from pathlib import Path

from support.exported_points import newest, points
from support.instrumented_service import StartService, run_python
from support.otlp_receiver import OtlpReceiver

OWN_POOLS = """
import asyncio, time
from asgiref.sync import sync_to_async
from concurrent.futures import ThreadPoolExecutor
from opentelemetry.metrics import get_meter_provider

async def main():
    named = ThreadPoolExecutor(2, thread_name_prefix="images")
    unnamed = [ThreadPoolExecutor(1) for _ in range(2)]
    busy = [named.submit(time.sleep, 1) for _ in range(5)]
    await asyncio.to_thread(time.sleep, 0)
    for pool in unnamed: pool.submit(int).result()
    views = [asyncio.ensure_future(sync_to_async(time.sleep)(1)) for _ in range(3)]
    await asyncio.sleep(0.2)
    get_meter_provider().force_flush()
    await asyncio.gather(*views)
    named.shutdown(cancel_futures=True)

asyncio.run(main())
"""


def test_full_threads_of_synchronous_endpoints_are_seen(receiver: OtlpReceiver, start: StartService) -> None:
    """Eight requests for two threads: both are used, and six wait."""
    service = start(
        *("uvicorn", "runtime_kinds.main:app", "--port", "{port}"),
        variables={"OTEL_METRIC_EXPORT_INTERVAL": "100"},
    )
    assert {answer.status for answer in service.get_many("/threads", 8)} == {200}
    service.stop()
    used = [p.as_int for _, a, p in points(receiver, "ansflow.threadpool.threads") if a == USED]
    queue = [p.as_int for _, a, p in points(receiver, "ansflow.threadpool.queue") if a == {"pool": "anyio"}]
    limit = [p.as_int for _, a, p in points(receiver, "ansflow.threadpool.limit") if a == {"pool": "anyio"}]
    assert max(used) == 2
    assert max(queue) == 6
    assert set(limit) == {2}


USED = {"pool": "anyio", "state": "used"}


def test_executors_go_by_their_names(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """An application's own pools, and the loop's, are told apart; those without a name are one."""
    finished = run_python(OWN_POOLS, receiver, tmp_path)
    assert finished.returncode == 0, finished.stderr
    threads = {
        key[1:]: max(
            p.as_int
            for _, a, p in points(receiver, "ansflow.threadpool.threads")
            if (a["pool"], a["state"]) == key[1:]
        )
        for key in newest(receiver, "ansflow.threadpool.threads")
    }
    assert threads["images", "used"] == 2
    assert threads["asyncio", "idle"] == 1
    assert threads["ThreadPoolExecutor", "idle"] == 2
    assert threads["asgiref", "used"] == 1, "the one thread of synchronous views"
    queued = {
        pool: max(p.as_int for _, a, p in points(receiver, "ansflow.threadpool.queue") if a["pool"] == pool)
        for pool in ("images", "asgiref")
    }
    assert queued == {"images": 3, "asgiref": 2}
