"""One running system for all end-to-end tests, and a known load that was sent to it."""

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansflow_stack.local import ports
from support.delivery_events import PROJECT, delivery, running_job
from support.events import events
from support.load import REQUESTS, ROUNDS, WEBSOCKET_SESSIONS, Load
from support.polling import poll_until
from support.programs import find_binary
from support.prometheus_api import PrometheusApi
from support.running_system import Installation, RunningSystem


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """Give free ports and an empty run directory."""
    find_binary("ansflow-otelcol", "ANSFLOW_OTELCOL")
    find_binary("prometheus", "ANSFLOW_PROMETHEUS")
    with tempfile.TemporaryDirectory(prefix="ansflow-e2e-") as folder:
        yield Installation.on_free_ports(Path(folder))


@pytest.fixture(scope="session")
def system(installation: Installation) -> Iterator[RunningSystem]:
    """Start the whole system, without its own traffic, and stop it in the end."""
    prometheus = PrometheusApi(installation.url(ports.PROMETHEUS))
    started = installation.ansflow("up", "--detach", "--no-traffic", "--timeout", "120")
    assert started.returncode == 0, started.stdout
    try:
        yield RunningSystem(installation, prometheus)
    finally:
        prometheus.close()
        stopped = installation.ansflow("down")
        assert stopped.returncode == 0, stopped.stdout


@pytest.fixture(scope="session")
def load(system: RunningSystem) -> Load:
    """Send a known number of requests to both services, some WebSocket sessions among them."""
    first = _round(system, 1)
    told = "sum(ansflow_websocket_disconnections_total)"
    sessions = sum(each.count for each in Load((first,)).websockets().values())

    def scraped() -> None:
        assert system.prometheus.value(told) == sessions

    poll_until(scraped)
    return Load((first, *(_round(system, number) for number in range(2, ROUNDS + 1))))


def _round(system: RunningSystem, number: int) -> dict[str, Any]:
    file = system.installation.run_directory / f"summary-{number}.json"
    done = system.installation.ansflow(
        "traffic",
        *("--fastapi-url", system.url(ports.FASTAPI), "--django-url", system.url(ports.DJANGO)),
        *("--requests", str(REQUESTS // ROUNDS), "--websocket-sessions", str(WEBSOCKET_SESSIONS // ROUNDS)),
        *("--rate", "0", "--seed", str(number), "--summary", str(file)),
    )
    assert done.returncode == 0, done.stdout
    summary: dict[str, Any] = json.loads(file.read_text())
    return summary


@pytest.fixture(scope="session")
def business(system: RunningSystem) -> None:
    """Send the business events: half of them one by one and then again, all of them in a batch."""
    sent = events()
    for event in sent[::2]:
        assert system.send_events(event).status_code == 202
        assert system.send_events(event).status_code == 200
    answer = system.send_events(sent, batch=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["duplicate"] == len(sent[::2])


@pytest.fixture(scope="session")
def delivered(system: RunningSystem) -> None:
    """Send the events of a delivery, and when they have been scraped those of another: an increase of all."""
    now = datetime.now(UTC)
    assert system.send_gitlab_job(running_job(now)).status_code == 202
    assert system.send_events(delivery(1, now), batch=True).status_code == 200
    runs = f'cicd_pipeline_run_duration_seconds_count{{ansflow_project_name="{PROJECT}"}}'

    def scraped() -> None:
        told = system.prometheus.query(runs)
        assert {(each.labels["cicd_pipeline_run_state"], each.value) for each in told} == {
            ("pending", 1.0),
            ("executing", 1.0),
        }

    poll_until(scraped)
    assert system.send_events(delivery(2, now), batch=True).status_code == 200
