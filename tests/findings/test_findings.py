"""The numbered findings of the field notes: what stock OpenTelemetry does wrong, and that ours does it right.

Each test says first what happens with the stock distribution, so that it is known when that changes, and then
what happens with ours.
"""

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.instrumented_service import Service, starting_services
from support.otlp_receiver import OtlpReceiver, attributes_of
from websockets.sync.client import connect

from .conftest import APPLICATIONS, VANILLA_VARIABLES

UVICORN = ("python", "-m", "uvicorn", "findings_fastapi:app", "--port", "{port}")
GUNICORN = (
    "gunicorn",
    "findings_django.wsgi",
    "--bind",
    "127.0.0.1:{port}",
    "--workers",
    "2",
    "--max-requests",
    "25",
)

OFTEN = {"OTEL_METRIC_EXPORT_INTERVAL": "300", "OTEL_BSP_SCHEDULE_DELAY": "300"}
DJANGO = {"DJANGO_SETTINGS_MODULE": "findings_django.settings"}
"""Where it is not set at launch, the stock instrumentation configures empty settings."""

SELDOM = {"OTEL_METRIC_EXPORT_INTERVAL": "60000"}

ITEMS = 25
"""Requests of the quick runs."""

HELD = 4
"""Connections that are checked out while the pools are looked at."""

BEFORE_SIGTERM = 205
"""Requests right before the end."""


@dataclass
class Run:
    """What a run exported, and what was true meanwhile.

    Attributes:
        received: What was exported.
        rss: Bytes by process, as psutil has it.
        hung: Whether recycling hung before workers were replaced.
    """

    received: OtlpReceiver
    rss: dict[int, int] = field(default_factory=dict)
    hung: bool = False

    def counts(self) -> int:
        """Requests that the duration histograms counted."""
        return self.received.requests_counted().total()

    def spans(self) -> int:
        """SERVER spans."""
        return self.received.server_spans().total()


@pytest.fixture(scope="module", params=["vanilla", "ours"])
def which(request: pytest.FixtureRequest) -> str:
    """Whose telemetry is run."""
    return str(request.param)


@pytest.fixture(scope="module")
def scripts(which: str, request: pytest.FixtureRequest) -> Path:
    """Scripts of that environment."""
    path: Path = request.getfixturevalue("vanilla_bin" if which == "vanilla" else "our_bin")
    return path


@contextmanager
def serving(
    which: str, scripts: Path, directory: Path, command: tuple[str, ...], variables: dict[str, str]
) -> Iterator[tuple[Service, OtlpReceiver]]:
    """Run a service; it is stopped by SIGTERM when the block ends."""
    own = VANILLA_VARIABLES if which == "vanilla" else {"ANSFLOW_PROMETHEUS_BRIDGE": "true"}
    with OtlpReceiver() as receiver, starting_services(receiver, APPLICATIONS, directory) as start:
        service = start(*command, variables={**own, **variables}, bin_dir=scripts)
        yield service, receiver
        try:
            service.stop(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            if which == "ours":
                raise
            service.process.kill()  # the stock distribution hangs now and then


@pytest.fixture(scope="module")
def uvicorn_run(which: str, scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Requests with a parent, queries, a WebSocket, and held connections while metrics go out."""
    directory = tmp_path_factory.mktemp("uvicorn")
    with serving(which, scripts, directory, UVICORN, OFTEN) as (service, receiver):
        for number in range(ITEMS):
            service.get(f"/items/{number}", headers={"traceparent": f"00-{number + 1:032x}-{7:016x}-01"})
        for _ in range(ITEMS):
            service.get("/query")
        with connect(service.url.replace("http", "ws") + "/ws") as websocket:
            websocket.send("hello")
            assert websocket.recv() == "hello"
        holding = threading.Thread(target=service.get, args=(f"/hold/{HELD}",))
        holding.start()
        time.sleep(1.5)  # several exports
        service.get("/let-go")
        holding.join()
    return Run(receiver)


@pytest.fixture(scope="module")
def sigterm_run(which: str, scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Requests, and SIGTERM before anything would be exported by itself."""
    directory = tmp_path_factory.mktemp("sigterm")
    with serving(which, scripts, directory, UVICORN, SELDOM) as (service, receiver):
        service.get_many("/items/1", BEFORE_SIGTERM)
    return Run(receiver)


@pytest.fixture(scope="module")
def gunicorn_run(which: str, scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Workers that grow after the fork, and requests with a Host that is not allowed."""
    directory = tmp_path_factory.mktemp("gunicorn")
    with serving(which, scripts, directory, GUNICORN, {**OFTEN, **DJANGO}) as (service, receiver):
        run = Run(receiver)
        while len(run.rss) < 2:
            for answer in service.get_many("/grow", 16):
                told = json.loads(answer.body)
                run.rss[told["pid"]] = told["rss"]
        for _ in range(8):
            assert service.get("/cached", headers={"Host": "not.allowed.test"}).status == 400
        try:
            service.get_many("/cached", 60)  # workers are recycled
        except OSError:
            if which == "ours":
                raise
            run.hung = True  # a recycled worker of the stock distribution hangs, and who waits for it
        time.sleep(1.0)  # several exports
    return run


def _largest(run: Run, name: str, **labels: str) -> dict[str, float]:
    """The largest value that a sum or gauge had, by instance."""
    largest: dict[str, float] = {}
    for request in run.received.metrics:
        for group in request.resource_metrics:
            instance = attributes_of(list(group.resource.attributes)).get("service.instance.id", "")
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    if metric.name != name:
                        continue
                    points = metric.sum.data_points if metric.HasField("sum") else metric.gauge.data_points
                    for point in points:
                        if labels.items() <= attributes_of(list(point.attributes)).items():
                            value = float(point.as_int or point.as_double)
                            largest[instance] = max(value, largest.get(instance, 0.0))
    return largest


def test_finding_1_the_command_line_is_no_parent(which: str, uvicorn_run: Run) -> None:
    """Click's span made every request part of one endless trace, with no SERVER span."""
    items = [span for span in uvicorn_run.received.spans() if span.name.endswith("/items/{item_id}")]
    traces = {int.from_bytes(span.trace_id, "big") for span in items}
    if which == "vanilla":
        assert len(traces) == 1
        assert not [span for span in items if span.kind == Span.SPAN_KIND_SERVER]
        return
    assert traces == set(range(1, ITEMS + 1))
    assert {span.kind for span in items} == {Span.SPAN_KIND_SERVER}


def test_finding_2_a_pool_is_counted_once(which: str, uvicorn_run: Run) -> None:
    """With the async engine, four connections that were checked out read eight."""
    names = {
        "vanilla": ("db.client.connections.usage", {"state": "used"}),
        "ours": ("db.client.connection.count", {"db.client.connection.state": "used"}),
    }
    name, labels = names[which]
    (used,) = _largest(uvicorn_run, name, **labels).values()
    assert used == (2 * HELD if which == "vanilla" else HELD)


def test_finding_3_every_worker_reports_its_own_memory(which: str, gunicorn_run: Run) -> None:
    """Under a prefork server every worker reported the master's."""
    reported = _largest(gunicorn_run, "process.memory.usage")
    true = sorted(gunicorn_run.rss.values())
    if which == "vanilla":
        assert max(reported.values()) < 0.8 * true[0], "no process reports what the workers have"
        return
    workers = sorted(reported.values())[-len(true) :]
    assert workers == pytest.approx(true, rel=0.05)


def test_finding_4_sigterm_loses_nothing(which: str, sigterm_run: Run) -> None:
    """Uvicorn ended by SIGTERM lost the last interval of metrics, and its buffered spans."""
    if which == "vanilla":
        assert sigterm_run.counts() == 0
        assert sigterm_run.received.spans() == [] or len(sigterm_run.received.spans()) < BEFORE_SIGTERM * 3
        return
    assert (sigterm_run.counts(), sigterm_run.spans()) == (BEFORE_SIGTERM, BEFORE_SIGTERM)


def test_finding_5_a_bad_host_is_counted(which: str, gunicorn_run: Run) -> None:
    """Eight requests with a Host that is not allowed were counted by nobody."""
    statuses: Counter[str] = Counter()
    for duration in gunicorn_run.received.durations():
        statuses[duration.attributes.get("http.response.status_code", "")] += duration.point.count
    assert statuses["400"] == (0 if which == "vanilla" else 8)


def test_finding_6_dead_workers_are_no_instances(which: str, gunicorn_run: Run) -> None:
    """Each recycled worker was one instance more in the sums of `process_*`, beside master and workers."""
    instances = _largest(gunicorn_run, "process.memory.usage")
    if which == "vanilla":
        assert len(instances) > 3 or gunicorn_run.hung
        return
    assert len(instances) <= 3


def test_finding_7_sql_echo_stays_out_of_the_logs(which: str, uvicorn_run: Run) -> None:
    """Each query that was echoed was some log records more."""
    echoed = [
        record for record in uvicorn_run.received.log_records() if "SELECT 1" in record.body.string_value
    ]
    assert len(echoed) == (ITEMS if which == "vanilla" else 0)


def test_finding_8_what_was_missing_is_there(which: str, uvicorn_run: Run) -> None:
    """WebSockets, and what the application counts with prometheus_client, were not exported at all."""
    missing = {"ansflow.websocket.messages", "ansflow.websocket.connections", "shop_orders"}
    found = {name for name in uvicorn_run.received.metric_names() if name.removesuffix("_total") in missing}
    if which == "vanilla":
        assert not found
        return
    assert {name.removesuffix("_total") for name in found} == missing
    counted = uvicorn_run.received.sums("ansflow.websocket.")
    assert counted["ansflow.websocket.messages", "/ws", "sent"] == 1


def test_finding_9_requests_are_counted_exactly(which: str, uvicorn_run: Run) -> None:
    """While a service runs nothing is lost or counted twice: that was right, and stays so."""
    counted = uvicorn_run.received.requests_counted()
    if which == "ours":
        assert counted["/items/{item_id}"] == counted["/query"] == ITEMS
        assert uvicorn_run.received.server_spans()["GET /query"] == ITEMS
