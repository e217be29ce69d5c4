"""Ends of processes beside a server's: signals, `os._exit`, and a Collector that is away."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from ansflow_instrumentation.workers.leaving import flush_timeout_s
from support.instrumented_service import StartService, free_port, run_python
from support.otlp_receiver import OtlpReceiver
from support.vanilla import VANILLA

BUFFERED = {"OTEL_METRIC_EXPORT_INTERVAL": "600000", "OTEL_BSP_SCHEDULE_DELAY": "600000"}
"""Nothing would leave before the process does."""

UVICORN = ("uvicorn", "fastapi_shop.main:app", "--port", "{port}")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "django_shop.wsgi:application")

COUNT_AND_END = """
import os, signal, sys
from opentelemetry import metrics, trace

metrics.get_meter("test").create_counter("shop.orders").add(7)
trace.get_tracer("test").start_span("order").end()
"""

FIRST_OF_A_CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork")

ENDS = {
    "os._exit": "os._exit(3)",
    "sys.exit": "sys.exit(3)",
    "sigterm": "os.kill(os.getpid(), signal.SIGTERM)",
    # As gunicorn's UvicornWorker does, and asyncio where a handler is removed.
    "sigterm-default-set-late": """
signal.signal(signal.SIGTERM, lambda *_: None)
assert signal.signal(signal.SIGTERM, signal.SIG_DFL) is not signal.SIG_DFL
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
signal.raise_signal(signal.SIGTERM)
""",
    # What is interrupted holds a lock that sending needs: it is let through first.
    "sigterm-while-recording": """
import time
storage, = metrics.get_meter_provider()._measurement_consumer._reader_storages.values()
of_the_sdk = {"__name__": "opentelemetry.sdk.tried", "os": os, "signal": signal, "time": time}
exec('''
def hold(lock):
    with lock:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
''', of_the_sdk)
of_the_sdk["hold"](storage._lock)
time.sleep(30)
""",
    # `multiprocessing` ends its forked children by os._exit.
    "forked-child": """
import multiprocessing
def work():
    metrics.get_meter("test").create_counter("shop.orders").add(2)
    trace.get_tracer("test").start_span("order").end()
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
os._exit(3)
""",
}

STATUS = {"os._exit": 3, "sys.exit": 3, "forked-child": 3}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_sends_what_is_buffered(receiver: OtlpReceiver, tmp_path: Path, end: str) -> None:
    """Counts and spans are there however the process ends; its status is what it would have been."""
    process = run_python(COUNT_AND_END + ENDS[end], receiver, tmp_path, variables=BUFFERED)
    assert process.returncode == STATUS.get(end, -signal.SIGTERM), process.stderr
    assert receiver.sums("shop.orders") == {("shop.orders",): 9 if end == "forked-child" else 7}
    assert [span.name for span in receiver.spans()] == ["order"] * (2 if end == "forked-child" else 1)


def test_greenlets_get_their_turn(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Where gevent has made threads greenlets before a fork, the child sends what is buffered."""
    program = f"""
from gevent import monkey
monkey.patch_all()
import os, sys
if child := os.fork():
    os.waitpid(child, 0)
    sys.exit()
{COUNT_AND_END}
"""
    process = run_python(program, receiver, tmp_path, variables=BUFFERED)
    assert process.returncode == 0, process.stderr
    assert receiver.sums("shop.orders") == {("shop.orders",): 7}
    assert [span.name for span in receiver.spans()] == ["order"]


@pytest.mark.skipif(
    subprocess.run([*FIRST_OF_A_CONTAINER, "true"], check=False, capture_output=True).returncode != 0,
    reason="namespaces are not to be had",
)
def test_the_first_process_of_a_container_goes_on_counting(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The kernel keeps SIGTERM's default action from it, so it does not end, and what it counts is sent."""
    program = f"""
import os, subprocess, sys
if os.getpid() != 1:
    sys.exit(subprocess.run([*{FIRST_OF_A_CONTAINER!r}, *sys.orig_argv]).returncode)
import signal
os.kill(1, signal.SIGTERM)
{COUNT_AND_END}
"""
    process = run_python(program, receiver, tmp_path, variables=BUFFERED)
    assert process.returncode == 0, process.stderr
    assert receiver.sums("shop.orders") == {("shop.orders",): 7}
    assert [span.name for span in receiver.spans()] == ["order"]


def test_the_farewell_is_nobody_s_request(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Ending the series of this process is not traced, though it is sent by a client that is."""
    program = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import SpanProcessor

class Seen(SpanProcessor):
    def on_start(self, span, parent_context=None):
        print(span.name)

trace.get_tracer_provider().add_span_processor(Seen())
metrics.get_meter("test").create_gauge("shop.level").set(1)
"""
    process = run_python(program, receiver, tmp_path, variables=BUFFERED)
    assert (process.stdout, process.stderr) == ("", "")
    assert "shop.level" in receiver.metric_names()


def test_vanilla_loses_it_all(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Without this package (finding 4, SIGTERM [V]) SIGTERM leaves nothing of what is buffered."""
    end = ENDS["sigterm"]
    run_python(COUNT_AND_END + end, receiver, tmp_path, variables={**BUFFERED, **VANILLA})
    assert (receiver.sums("shop.orders"), receiver.spans()) == ({}, [])


def test_threads_of_the_application_do_not_hold_the_end_up(
    start: StartService, receiver: OtlpReceiver
) -> None:
    """Where work of the application fills the loop's executor, all is sent, and SIGTERM ends the process."""
    service = start(*UVICORN, variables=BUFFERED)
    service.get("/busy")
    service.stop(signal.SIGTERM)
    assert service.process.returncode == -signal.SIGTERM
    assert receiver.requests_counted() == {"/busy": 1}
    assert receiver.server_spans() == {"GET /busy": 1}


@contextlib.contextmanager
def _endpoint(kind: str) -> Iterator[str]:
    if kind == "down":
        yield f"http://127.0.0.1:{free_port()}"
        return
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


def _stop_without_collector(
    start: StartService, kind: str, command: tuple[str, ...], path: str, variables: Mapping[str, str]
) -> tuple[float, str, int]:
    with _endpoint(kind) as endpoint:
        service = start(
            *command, variables={**BUFFERED, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **variables}
        )
        assert service.get(path).status == 200
        begin = time.monotonic()
        output = service.stop(signal.SIGTERM)
        return time.monotonic() - begin, output, service.process.returncode


@pytest.mark.parametrize("kind", ["down", "silent"])
def test_a_collector_that_is_away_does_not_hold_the_process(start: StartService, kind: str) -> None:
    """What is left is given up at the deadline, whoever retries, and uvicorn ends as ever."""
    timeout = {"ANSFLOW_FLUSH_TIMEOUT": "300"}
    _, output, status = _stop_without_collector(start, kind, UVICORN, "/items/1", timeout)
    assert output.count("Telemetry could not all be sent within 0.3 s") == 1
    assert status == -signal.SIGTERM


def test_processes_of_a_service_wait_for_a_silent_collector_once(start: StartService) -> None:
    """Gunicorn's master does not wait again for what its workers have waited for: 3 s in all.

    The SDK's own exporters would take 10 s each, and three signals one after the other.
    """
    seconds, output, status = _stop_without_collector(start, "silent", GUNICORN, "/orders/1", {})
    assert "Telemetry could not all be sent within 3 s" in output
    assert output.endswith("Telemetry could not all be sent within 0.1 s; spans and logs not sent are lost\n")
    assert status == 0
    assert seconds < 9


def test_the_time_for_the_end_is_milliseconds(caplog: pytest.LogCaptureFixture) -> None:
    """The variable is in milliseconds; what is no number is one warning that names it, and the default."""
    assert flush_timeout_s({}) == 3.0
    assert flush_timeout_s({"ANSFLOW_FLUSH_TIMEOUT": "250"}) == 0.25
    assert flush_timeout_s({"ANSFLOW_FLUSH_TIMEOUT": "soon"}) == 3.0
    assert "ANSFLOW_FLUSH_TIMEOUT='soon'" in caplog.text
