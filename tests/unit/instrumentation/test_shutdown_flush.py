"""What the end finds in the buffers is sent: uvicorn in all its forms, and a Collector that is silent."""

import signal
import socket

import pytest
from support.instrumented_service import StartService
from support.otlp_receiver import OtlpReceiver

BUFFERED = {"OTEL_METRIC_EXPORT_INTERVAL": "600000", "OTEL_BSP_SCHEDULE_DELAY": "600000"}
"""Nothing would leave before the process does."""

UVICORN = ("uvicorn", "fastapi_shop.main:app", "--port", "{port}")
# By default uvicorn kills a worker that takes 5 s to import: a busy machine may take longer.
UVICORN_WORKERS = (*UVICORN, "--workers", "2", "--timeout-worker-healthcheck", "60")


GUNICORN = (
    *("gunicorn", "fastapi_shop.main:app", "--bind", "127.0.0.1:{port}"),
    *("--workers", "2", "--worker-class", "uvicorn.workers.UvicornWorker"),
)


@pytest.mark.parametrize(
    ("command", "sig"),
    [
        pytest.param(UVICORN, signal.SIGTERM, id="uvicorn-term"),
        pytest.param(UVICORN, signal.SIGINT, id="uvicorn-int"),
        pytest.param(UVICORN_WORKERS, signal.SIGTERM, id="uvicorn-workers-term"),
        pytest.param(UVICORN_WORKERS, signal.SIGINT, id="uvicorn-workers-int"),
        # SIGINT is left out here: gunicorn turns it into SIGQUIT, on which UvicornWorker hangs by itself.
        pytest.param(GUNICORN, signal.SIGTERM, id="gunicorn-uvicorn-workers-term"),
    ],
)
def test_nothing_is_lost_at_the_end(
    start: StartService, receiver: OtlpReceiver, command: tuple[str, ...], sig: signal.Signals
) -> None:
    """Every request up to the signal is counted and traced, and its logs are there."""
    service = start(*command, variables=BUFFERED)
    service.get_many("/items/1", 60)
    service.stop(sig)
    assert receiver.requests_counted() == {"/items/{item_id}": 60}
    assert receiver.server_spans() == {"GET /items/{item_id}": 60}
    assert len([r for r in receiver.log_records() if "asked for" in r.body.string_value]) == 60


def test_threads_of_the_application_do_not_hold_the_flush(
    start: StartService, receiver: OtlpReceiver
) -> None:
    """Where work of the application fills the loop's executor, all is sent, and SIGTERM ends the process."""
    service = start(*UVICORN, variables=BUFFERED)
    service.get("/busy")
    service.stop(signal.SIGTERM)
    assert service.process.returncode == -signal.SIGTERM
    assert receiver.requests_counted() == {"/busy": 1}
    assert receiver.server_spans() == {"GET /busy": 1}


def test_a_flush_that_fails_is_one_warning(start: StartService) -> None:
    """A time limit that no clock can hold is a warning, and uvicorn ends as ever."""
    service = start(*UVICORN, variables={"ANSFLOW_FLUSH_TIMEOUT": "9" * 30})
    output = service.stop(signal.SIGTERM)
    assert output.count("Flushing telemetry failed; the application runs on without it: OverflowError") == 1
    assert service.process.returncode == -signal.SIGTERM


def test_a_silent_collector_does_not_hold_the_process(start: StartService) -> None:
    """Where nothing answers, what is left is given up at the deadline, and uvicorn ends as ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = start(
            *UVICORN,
            variables={
                **BUFFERED,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "ANSFLOW_FLUSH_TIMEOUT": "300",
            },
        )
        service.get("/items/1")
        output = service.stop(signal.SIGTERM)
    assert output.count("Telemetry could not all be sent within 0.3 s") == 1
    assert service.process.returncode == -signal.SIGTERM
