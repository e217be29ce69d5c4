"""Django under gunicorn with two workers: each request is counted once, summed over the workers."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.instrumented_service import StartService, run_python, starting_services
from support.otlp_receiver import OtlpReceiver, attributes_of

APPLICATIONS = Path(__file__).parent / "applications"

ORDERS = "/orders/<int:order_id>"

GUNICORN = ("gunicorn", "django_shop.wsgi:application", "--bind", "127.0.0.1:{port}", "--workers", "2")


@dataclass(frozen=True)
class Run:
    """A finished run of the application.

    Attributes:
        received: What the workers exported.
        orders: How many requests each worker answered, by its process id.
    """

    received: OtlpReceiver
    orders: Counter[int]


@pytest.fixture(scope="module", params=["settings-in-wsgi", "settings-in-environment", "preloaded"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run: orders until both workers have answered, health and metrics paths, look-alikes, SIGTERM."""
    settings = {"DJANGO_SETTINGS_MODULE": "django_shop.settings"} if "environment" in request.param else {}
    orders: Counter[int] = Counter()
    directory = tmp_path_factory.mktemp("run")
    with OtlpReceiver() as receiver, starting_services(receiver, APPLICATIONS, directory) as start:
        preload = ["--preload"] if request.param == "preloaded" else []
        service = start(*GUNICORN, *preload, variables={"OTEL_METRIC_EXPORT_INTERVAL": "600000", **settings})
        while len(orders) < 2:
            orders.update(int(answer.body) for answer in service.get_many("/orders/1", 50))
        for path in ("/healthcare", "/health/", "/health/ready", "/metrics"):
            assert service.get(path).status == 200
        service.stop()
        return Run(receiver, orders)


def test_every_request_is_one_duration_point(run: Run) -> None:
    """N requests are N counted, summed over two workers; health and metrics paths are not."""
    assert run.received.requests_counted() == {ORDERS: run.orders.total(), "/healthcare": 1}


def test_every_request_is_one_server_span(run: Run) -> None:
    """N requests are N SERVER spans, and there is no other span."""
    assert run.received.server_spans() == {f"GET {ORDERS}": run.orders.total(), "GET /healthcare": 1}
    assert {span.kind for span in run.received.spans()} == {Span.SPAN_KIND_SERVER}


def test_each_worker_counts_its_own_requests(run: Run) -> None:
    """Each worker has an identity of its own, under which its own requests are counted."""
    counted: Counter[str] = Counter()
    for duration in run.received.durations():
        if duration.attributes.get("http.route") == ORDERS:
            counted[duration.instance] += duration.point.count
    assert sorted(counted.values()) == sorted(run.orders.values())


def test_names_are_the_stable_ones(run: Run) -> None:
    """No metric or attribute of the semantic conventions before HTTP became stable."""
    assert {name for name in run.received.metric_names() if name.startswith("http.")} == {
        "http.server.request.duration",
        "http.server.active_requests",
        "http.server.response.body.size",
    }
    for duration in run.received.durations():
        assert set(duration.attributes) <= {
            "http.request.method",
            "http.route",
            "http.response.status_code",
            "network.protocol.version",
            "url.scheme",
        }
    span_attributes = {name for span in run.received.spans() for name in attributes_of(list(span.attributes))}
    assert not {name for name in span_attributes if name.startswith(("http.method", "http.status", "net."))}


def test_logs_carry_the_span_they_were_written_in(run: Run) -> None:
    """A record logged by a view is exported once, with the trace and span id of its request."""
    spans = {(span.trace_id, span.span_id) for span in run.received.spans()}
    records = [r for r in run.received.log_records() if r.body.string_value == "order 1 was asked for"]
    assert len(records) == run.orders.total()
    assert {(r.trace_id, r.span_id) for r in records} <= spans


def test_misspelt_settings_fail_as_they_do_without_telemetry(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The user sees Django's own error, and not an application with empty settings."""
    finished = run_python(
        "import django; django.setup()",
        receiver,
        tmp_path,
        import_path=APPLICATIONS,
        variables={"DJANGO_SETTINGS_MODULE": "django_shop.settings_misspelt"},
    )
    assert finished.returncode == 1
    assert finished.stderr.endswith("ModuleNotFoundError: No module named 'django_shop.settings_misspelt'\n")


def test_django_may_be_installed_and_unused(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A service that does not set Django up leaves its settings unconfigured."""
    finished = run_python("from django.conf import settings; print(settings.configured)", receiver, tmp_path)
    assert finished.stdout == "False\n"


UNUSUAL = {"DJANGO_SETTINGS_MODULE": "django_shop.settings_unusual"}
"""Settings that contrib's instrumentation cannot insert its middleware into."""


def test_settings_are_left_alone(start: StartService, receiver: OtlpReceiver) -> None:
    """Whatever the settings look like, requests are recorded: nothing is inserted into them."""
    service = start(*GUNICORN, variables=UNUSUAL)
    assert service.get("/healthcare").status == 200
    assert "failed" not in service.stop()
    assert receiver.requests_counted() == {"/healthcare": 1}


def test_a_failing_django_instrumentation_leaves_django_running(start: StartService) -> None:
    """What goes wrong after `django.setup()` is one warning that names the instrumentation."""
    service = start(*GUNICORN, variables={**UNUSUAL, "ANSFLOW_HTTP_INSTRUMENTATION": "contrib"})
    assert service.get("/healthcare").status == 200
    output = service.stop()
    assert output.count("Loading the 'django' instrumentation failed") == 2  # once a worker
