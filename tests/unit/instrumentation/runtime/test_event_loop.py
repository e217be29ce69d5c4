"""Event-loop lag, on real loops and servers."""

import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansflow_instrumentation.runtime.event_loop import MAX_MISSED, lags
from support.exported_points import newest
from support.instrumented_service import StartService, run_python
from support.otlp_receiver import OtlpReceiver

UVICORN = ("uvicorn", "runtime_kinds.main:app", "--port", "{port}", "--loop")

SERVERS = {
    "uvicorn, asyncio": (*UVICORN, "asyncio"),
    "uvicorn, uvloop": (*UVICORN, "uvloop"),
    "gunicorn": (
        *("gunicorn", "runtime_kinds.main:app", "--bind", "127.0.0.1:{port}"),
        *("--worker-class", "uvicorn_worker.UvicornWorker"),
    ),
    "daphne": ("daphne", "runtime_kinds.main:app", "--bind", "127.0.0.1", "--port", "{port}"),
    "hypercorn": ("hypercorn", "runtime_kinds.main:app", "--bind", "127.0.0.1:{port}"),
}

MANY_LOOPS = """
import asyncio, threading
from asgiref.sync import async_to_sync

async def nap(): await asyncio.sleep(0.12)

nap_sync = async_to_sync(nap)
nap_sync()
asyncio.run(nap())
threads = [threading.Thread(target=asyncio.run, args=(nap(),)) for _ in range(5)]
for thread in threads: thread.start()
for thread in threads: thread.join()
loop = asyncio.new_event_loop()
for _ in range(3): loop.run_until_complete(nap())
loop.call_soon(loop.stop)
loop.run_forever()
loop.close()
try:
    loop.run_forever()
except RuntimeError as error:
    print(error)
"""


@pytest.mark.parametrize("server", SERVERS)
def test_a_blocked_loop_is_seen_though_the_median_does_not_move(
    server: str, receiver: OtlpReceiver, start: StartService
) -> None:
    """One call that blocks the loop is a lag of a second, and no median of durations tells of it."""
    service = start(*SERVERS[server])
    service.get_many("/fast", 40)
    with ThreadPoolExecutor() as others:
        blocking = others.submit(service.get, "/block")
        waiting = [others.submit(service.get, "/fast") for _ in range(5)]
        assert {answer.result().status for answer in [blocking, *waiting]} == {200}
    service.stop()

    (lag,) = newest(receiver, "ansflow.eventloop.lag").values()
    assert 1.0 <= lag.max < 2.0
    # Whatever came in meanwhile waited, too: that many timers were late by at least half a second.
    assert sum(lag.bucket_counts[list(lag.explicit_bounds).index(0.5) + 1 :]) >= 5
    (fast,) = (d.point for d in receiver.durations() if d.attributes.get("http.route") == "/fast")
    bucket_of_median = next(
        bound
        for place, bound in enumerate(fast.explicit_bounds)
        if sum(fast.bucket_counts[: place + 1]) >= fast.count / 2
    )
    assert bucket_of_median < 0.1


def test_loops_end_as_they_do_without_a_timer(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Short loops, loops in threads, loops that are run again or closed: no warning, and each counts."""
    finished = run_python(
        MANY_LOOPS, receiver, tmp_path, variables={"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "default"}
    )
    assert finished.stdout == "Event loop is closed\n", finished.stderr
    assert "coroutine" not in finished.stderr
    assert "asyncio" not in finished.stderr
    (lag,) = newest(receiver, "ansflow.eventloop.lag").values()
    assert lag.count >= 10


def test_missed_timers_are_late_as_well() -> None:
    """A block of a second is ten lags spread over it; a loop in time is one lag, never below zero."""
    assert list(lags(0.02, 0.1)) == [0.02]
    assert list(lags(-0.001, 0.1)) == [0.0]
    blocked = list(lags(0.95, 0.1))
    assert blocked[0] == pytest.approx(1.05), "counted from when the loop was last seen alive"
    assert blocked[1:] == pytest.approx([0.95 - 0.1 * missed for missed in range(9)])
    assert statistics.median(blocked) == pytest.approx(0.6)
    assert len(list(lags(86_400, 0.1))) == MAX_MISSED + 1
