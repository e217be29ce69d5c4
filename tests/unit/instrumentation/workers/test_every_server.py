"""Every server, in every set-up: a thousand requests, SIGTERM at once, and nothing is lost.

Vanilla OpenTelemetry loses all metrics of the last interval, and most of the last spans, under uvicorn and
gunicorn's UvicornWorker (notes: SIGTERM [V]; finding 4).
"""

import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.instrumented_service import starting_services
from support.otlp_receiver import OtlpReceiver

from ..conftest import APPLICATIONS

REQUESTS = 1000

FASTAPI = "fastapi_shop.main:app"
WSGI = "django_shop.wsgi:application"
ASGI = "django_shop.asgi:application"

UVICORN = ("uvicorn", FASTAPI, "--port", "{port}")
# By default uvicorn kills a worker that takes 5 s to import: a busy machine may take longer.
SLOW_START = ("--timeout-worker-healthcheck", "60")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}", "--timeout", "120", "--workers", "2")
HYPERCORN = ("hypercorn", FASTAPI, "--bind", "127.0.0.1:{port}")
RUNSERVER = ("django-admin", "runserver", "127.0.0.1:{port}")

SET_UPS: Mapping[str, tuple[str, ...]] = {
    "uvicorn": UVICORN,
    "uvicorn-workers": (*UVICORN, "--workers", "2", *SLOW_START),
    "uvicorn-reload": (*UVICORN, "--reload"),
    "gunicorn-sync": (*GUNICORN, WSGI),
    "gunicorn-gthread": (*GUNICORN, "--worker-class", "gthread", "--threads", "4", WSGI),
    "gunicorn-uvicorn.workers": (*GUNICORN, "--worker-class", "uvicorn.workers.UvicornWorker", FASTAPI),
    "gunicorn-uvicorn_worker": (*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker", FASTAPI),
    "gunicorn-asgi": (*GUNICORN, "--worker-class", "asgi", FASTAPI),
    "gunicorn-preload": (*GUNICORN, "--preload", WSGI),
    "gunicorn-max-requests": (*GUNICORN, "--preload", "--max-requests", "100", WSGI),
    "daphne": ("daphne", "--port", "{port}", ASGI),
    "runserver": (*RUNSERVER, "--noreload"),
    "runserver-reload": RUNSERVER,
    "hypercorn": HYPERCORN,
    "hypercorn-workers": (*HYPERCORN, "--workers", "2"),
}

VARIABLES = {
    "OTEL_METRIC_EXPORT_INTERVAL": "60000",
    "DJANGO_SETTINGS_MODULE": "django_shop.settings",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a thousand requests."""

    answered: int
    spans: int
    counted: int
    logs: int
    output: str


@pytest.fixture(scope="module", name="outcomes")
def _outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, "Future[Outcome]"]]:
    """The selected set-ups, three at a time: they mostly wait for each other's processes."""
    selected = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "outcomes" in item.fixturenames
    }
    with ThreadPoolExecutor(3) as runners:
        yield {
            name: runners.submit(_run, command, tmp_path_factory.mktemp(name), VARIABLES)
            for name, command in SET_UPS.items()
            if name in selected
        }


def _run(command: tuple[str, ...], directory: Path, variables: Mapping[str, str]) -> Outcome:
    path = "/items/1" if FASTAPI in command else "/orders/1"
    with OtlpReceiver() as receiver:
        with starting_services(receiver, APPLICATIONS, directory) as start:
            service = start(*command, variables=variables)
            answers = service.get_many(path, REQUESTS)
            output = service.stop(signal.SIGTERM)
        return Outcome(
            sum(answer.status == 200 for answer in answers),
            receiver.server_spans().total(),
            receiver.requests_counted().total(),
            sum("asked for" in record.body.string_value for record in receiver.log_records()),
            output,
        )


@pytest.mark.parametrize("name", SET_UPS)
def test_nothing_is_lost_at_sigterm(outcomes: Mapping[str, "Future[Outcome]"], name: str) -> None:
    """Each request has its span, its count and its log record, though the metric interval is a minute."""
    outcome = outcomes[name].result()
    found = (outcome.answered, outcome.spans, outcome.counted, outcome.logs)
    assert found == (REQUESTS,) * 4, outcome.output
    assert "Traceback" not in outcome.output
    assert "telemetry" not in outcome.output.lower()
