"""Each published name has the exact value of what was sent, on the Collector's Prometheus endpoint."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from opentelemetry.metrics import CallbackOptions, Histogram, Observation
from support.collector import CONFIG, Collector, Exposition, run_collector
from support.senders import Worker, worker
from support.service_telemetry import record_service

pytestmark = pytest.mark.integration

CATALOGUE = [
    entry
    for entry in yaml.safe_load((CONFIG / "published-names.catalogue.yaml").read_text())
    # What a rule makes, Prometheus serves: test_prometheus_scrape.py.
    if entry["from"]["by"] != "rule"
]

_COMMON_LABELS = {
    "job",
    "instance",
    "deployment_environment_name",
    "otel_scope_name",
    "otel_scope_version",
    "otel_scope_schema_url",
}

_RUNS = [
    ("deploy", {"cicd.pipeline.result": "success"}, 3),
    ("deploy", {"cicd.pipeline.result": "failure", "error.type": "exit_1"}, 1),
    ("deploy", {"cicd.pipeline.result": "failure", "error.type": "exit_2"}, 2),
    ("test", {"cicd.pipeline.result": "success", "ansflow.pipeline.type": "nightly"}, 4),
    ("test", {"cicd.pipeline.result": "timeout", "error.type": "timeout"}, 1),
]
"""Finished runs of the project ``web``: pipeline, attributes, how many, each of 2 s."""


@dataclass(frozen=True)
class Sent:
    """What the workers sent, and to whom."""

    collector: Collector
    trace_id: str
    """The trace of the first FastAPI worker's requests."""


def _attributes(method: str, route: str | None, status: int | None, **more: str) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        **{key.replace("_", "."): value for key, value in more.items()},
    }
    if route is not None:
        attributes["http.route"] = route
    if status is not None:
        attributes["http.response.status_code"] = status
    return attributes


_REQUESTS = [
    (_attributes("GET", "/projects", 200), 5),
    (_attributes("GET", "/projects", 200, network_protocol_version="1.0"), 3),
    (_attributes("GET", "/projects", 200, url_scheme="https"), 2),
    (_attributes("POST", "/projects/{id}", 201), 4),
    (_attributes("GET", "/projects/{id}", 500, error_type="500"), 1),
    (_attributes("GET", "/projects/{id}", 500, error_type="ValueError"), 1),
    (_attributes("GET", "/projects/{id}", None, error_type="ValueError"), 1),
    (_attributes("GET", "", 200), 6),
    (_attributes("GET", None, 404), 7),
    (_attributes("BREW", None, 405), 1),
    (_attributes("_OTHER", None, 405), 1),
    (_attributes("GET", '/ünïcode\n"quoted"\\', 200), 2),
    (_attributes("GET", "/gone", None), 1),
]
"""Requests of one worker: attributes as instrumentation records them, and how many, each of 0.2 s."""

_COUNTS = {
    ("GET", "/projects", "200"): 10,
    ("POST", "/projects/{id}", "201"): 4,
    ("GET", "/projects/{id}", "500"): 3,
    ("GET", "/", "200"): 6,
    ("GET", "unmatched", "404"): 7,
    ("_OTHER", "unmatched", "405"): 2,
    ("GET", '/ünïcode\n"quoted"\\', "200"): 2,
    ("GET", "/gone", "none"): 1,
}
"""What they are by method, route and status: nothing lost, nothing counted twice."""


@pytest.fixture(name="sent", scope="module")
def _sent(collector: Collector) -> Iterator[Sent]:
    """Two workers of each service and one gateway have sent their first export."""
    with contextlib.ExitStack() as stack:
        fastapi, django = (
            [stack.enter_context(worker(collector.endpoint, _resource(name, slot))) for slot in ("0", "1")]
            for name in ("ansflow-fastapi", "ansflow-django")
        )
        gateway = stack.enter_context(worker(collector.endpoint, _resource("ansflow-gateway", "0")))
        trace_ids = [_record_requests(each) for each in (*fastapi, *django, gateway)]
        _record_platform(gateway)
        for each in (*fastapi, *django):
            record_service(each)
        for each in (*fastapi, *django, gateway):
            each.flush()
        yield Sent(collector, trace_ids[0])


@pytest.fixture(name="served")
def _served(sent: Sent) -> Exposition:
    return sent.collector.scrape()


@pytest.mark.parametrize(
    ("counter", "histogram"),
    [
        ("ansflow_http_requests_total", "ansflow_http_request_duration_seconds"),
        ("django_http_requests_total", "django_request_duration_seconds"),
    ],
)
def test_requests_are_counted_once_by_published_labels(
    served: Exposition, counter: str, histogram: str
) -> None:
    """Points that differ in dropped attributes are added up, over workers; odd routes and methods show."""
    by = ("method", "route", "status")
    twice = {key: 2.0 * count for key, count in _COUNTS.items()}
    assert served.sums(counter, by) == twice
    assert served.sums(f"{histogram}_count", by) == twice
    assert served.sums(f"{histogram}_bucket", by, le="+Inf") == twice
    assert served.sums(f"{histogram}_bucket", by, le="0.1") == dict.fromkeys(twice, 0.0)
    assert served.sums(f"{histogram}_sum", by) == pytest.approx(
        {key: 0.2 * count for key, count in twice.items()}
    )


@pytest.mark.parametrize("name", ["ansflow_http_requests_total", "django_http_requests_total"])
def test_each_worker_has_its_series(served: Exposition, name: str) -> None:
    """Workers are told apart by instance, so that neither overwrites the other."""
    half = float(sum(_COUNTS.values()))
    service = "ansflow-fastapi" if name.startswith("ansflow") else "ansflow-django"
    assert served.sums(name, ("job", "instance")) == {
        (f"ansflow/{service}", "0"): half,
        (f"ansflow/{service}", "1"): half,
    }


def test_requests_of_other_services_are_not_published(served: Exposition) -> None:
    """The gateway's own HTTP requests are served under the standard name only."""
    assert served.of("http_server_request_duration_seconds_count", job="ansflow/ansflow-gateway")
    jobs = served.sums("ansflow_http_requests_total", ("job",)).keys()
    assert jobs == {("ansflow/ansflow-fastapi",)}


def test_pipeline_runs_are_counted_by_project_and_status(served: Exposition) -> None:
    """A failure is failed, whatever its error; other results keep their names; a queue's time is no run."""
    assert served.sums("ansflow_pipelines_total", ("project", "status")) == {
        ("web", "success"): 7.0,
        ("web", "failed"): 3.0,
        ("web", "timeout"): 1.0,
    }


def test_pipeline_durations_have_pipeline_and_type(served: Exposition) -> None:
    """A pipeline without a type of its own has the type ``pipeline``."""
    by = ("project", "pipeline", "pipeline_type", "status")
    counts = {
        ("web", "deploy", "pipeline", "success"): 3.0,
        ("web", "deploy", "pipeline", "failed"): 3.0,
        ("web", "test", "nightly", "success"): 4.0,
        ("web", "test", "pipeline", "timeout"): 1.0,
    }
    assert served.sums("ansflow_pipeline_duration_seconds_count", by) == counts
    assert served.sums("ansflow_pipeline_duration_seconds_sum", by) == {
        key: 2.0 * count for key, count in counts.items()
    }


def test_usage_is_percent_by_host(served: Exposition) -> None:
    """CPU is what is not idle; memory and disk are what is used; integers count as well as doubles."""
    assert served.sums("ansflow_system_cpu_usage_percent", ("host",)) == {("web-1",): 37.5}
    assert served.sums("ansflow_system_memory_usage_percent", ("host",)) == {("web-1",): 100.0}
    assert served.sums("ansflow_system_disk_usage_percent", ("host", "mountpoint")) == {
        ("web-1", "/"): pytest.approx(50.0),
        ("web-1", "/var"): pytest.approx(25.0),
    }


def test_business_and_health_gauges_and_counters(served: Exposition) -> None:
    """The remaining names have the values that their instruments had."""
    assert served.sums("ansflow_active_projects_total", ()) == {(): 3.0}
    assert served.families["ansflow_active_projects_total"] == "gauge"
    assert served.sums("ansflow_user_activity_total", ("job", "action", "user_type")) == {
        ("ansflow/ansflow-gateway", "login", "admin"): 2.0,
        # Told by the services' own business API, each worker for itself.
        ("ansflow/ansflow-fastapi", "deploy", "developer"): 6.0,
        ("ansflow/ansflow-django", "deploy", "developer"): 6.0,
    }
    assert served.sums("ansflow_health_check_status", ("service", "check")) == {
        ("fastapi", "overall"): 1.0,
        ("django", "overall"): 0.0,
    }


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry["name"])
def test_every_catalogued_name_is_served_as_it_says(served: Exposition, entry: dict[str, object]) -> None:
    """Type and labels are those of the catalogue, and there is no label beside them and the common ones."""
    name, kind = str(entry["name"]), entry["type"]
    family = name.removesuffix("_total") if kind == "counter" else name
    assert served.families[family] == kind
    samples = served.of(f"{name}_count" if kind == "histogram" else name)
    assert samples
    assert isinstance(entry["labels"], list)
    for sample in samples:
        assert set(sample.labels) == {*entry["labels"], *_COMMON_LABELS}


def test_no_series_is_served_twice(served: Exposition) -> None:
    """Name and labels are unique over the whole page, target_info included."""
    series = [(sample.name, frozenset(sample.labels.items())) for sample in served.samples]
    assert len(series) == len(set(series))


def test_target_info_is_there_once_for_each_worker(served: Exposition) -> None:
    """One line an instance, though two pipelines serve it, with the resource's other attributes."""
    assert served.sums("target_info", ("job", "instance", "host_name", "deployment_environment_name")) == {
        (f"ansflow/ansflow-{name}", slot, "web-1", "test"): 1.0
        for name, slot in (
            ("fastapi", "0"),
            ("fastapi", "1"),
            ("django", "0"),
            ("django", "1"),
            ("gateway", "0"),
        )
    }


def test_standard_names_are_served_beside(served: Exposition) -> None:
    """What the published names are made of is left as it was, with all attributes."""
    by = ("network_protocol_version", "url_scheme")
    found = served.sums(
        "http_server_request_duration_seconds_count",
        by,
        job="ansflow/ansflow-fastapi",
        http_route="/projects",
    )
    assert found == {("1.1", "http"): 10.0, ("1.0", "http"): 6.0, ("1.1", "https"): 4.0}
    assert served.of("cicd_pipeline_run_duration_seconds_count", cicd_pipeline_run_state="pending")
    assert served.of("system_cpu_utilization_ratio", cpu_mode="user")
    assert served.of("ansflow_active_projects")


def test_exemplars_lead_from_published_histograms_to_traces(sent: Sent, served: Exposition) -> None:
    """A bucket has the trace of a request that fell into it."""
    found = [
        sample.exemplar.labels["trace_id"]
        for sample in served.of("ansflow_http_request_duration_seconds_bucket", instance="0")
        if sample.exemplar
    ]
    assert set(found) == {sent.trace_id}


def test_later_exports_continue_the_counts(tmp_path: Path) -> None:
    """Cumulative points replace their predecessors: three more requests are three more, on the one worker."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(run_collector(["signals-none", "published-names"], tmp_path))
        workers = [
            stack.enter_context(worker(own.endpoint, _resource("ansflow-django", slot)))
            for slot in ("0", "1")
        ]
        for each in workers:
            _duration(each).record(0.2, _attributes("GET", "/projects", 200))
            each.flush()
        for version in ("1.0", "1.1", "2"):
            attributes = _attributes("GET", "/projects", 200, network_protocol_version=version)
            _duration(workers[1]).record(0.2, attributes)
        workers[1].flush()
        assert own.scrape().sums("django_http_requests_total", ("instance",)) == {("0",): 1.0, ("1",): 4.0}


def test_services_are_told_apart_by_their_configured_names(tmp_path: Path) -> None:
    """The variables are patterns of the whole service.name, so one may stand for several services."""
    env = {"ANSFLOW_FASTAPI_SERVICE": "shop-api-.*", "ANSFLOW_DJANGO_SERVICE": "shop-admin"}
    names = ("shop-api-eu", "shop-api-us", "shop-admin", "not-shop-admin", "ansflow-fastapi")
    with run_collector(["signals-none", "published-names"], tmp_path, env) as own:
        for name in names:
            with worker(own.endpoint, _resource(name, "0")) as sender:
                _duration(sender).record(0.2, _attributes("GET", "/", 200))
        served = own.scrape()
    assert served.sums("ansflow_http_requests_total", ("job",)) == {
        ("ansflow/shop-api-eu",): 1.0,
        ("ansflow/shop-api-us",): 1.0,
    }
    assert served.sums("django_http_requests_total", ("job",)) == {("ansflow/shop-admin",): 1.0}


def test_what_is_missing_in_the_source_has_a_text(tmp_path: Path) -> None:
    """A run without attributes and a host without a name are counted, and seen to be unknown."""
    with run_collector(["signals-none", "published-names"], tmp_path) as own:
        with worker(own.endpoint, {"service.name": "bare"}) as sender:
            meter = sender.meters.get_meter("bare")
            meter.create_histogram("cicd.pipeline.run.duration", unit="s").record(1.0)
            _observe(sender, "system.cpu.utilization", "1", [({"cpu.mode": "idle"}, 1)])
        served = own.scrape()
    by = ("project", "pipeline", "pipeline_type", "status")
    assert served.sums("ansflow_pipeline_duration_seconds_count", by) == {
        ("unknown", "unknown", "pipeline", "unknown"): 1.0
    }
    assert served.sums("ansflow_pipelines_total", ("project", "status")) == {("unknown", "unknown"): 1.0}
    assert served.sums("ansflow_system_cpu_usage_percent", ("host",)) == {("unknown",): 0.0}


def test_a_source_of_another_type_is_left_alone(tmp_path: Path) -> None:
    """A counter that has a source's name can't be made into the published histogram, and harms nothing."""
    with run_collector(["signals-none", "published-names"], tmp_path) as own:
        with worker(own.endpoint, _resource("ansflow-fastapi", "0")) as sender:
            sender.meters.get_meter("odd").create_counter("http.server.request.duration").add(1)
        served = own.scrape()
    assert served.of("http_server_request_duration_total")
    assert not served.of("ansflow_http_requests_total")


def _resource(service: str, slot: str) -> dict[str, str]:
    return {
        "service.name": service,
        "service.namespace": "ansflow",
        "service.instance.id": slot,
        "deployment.environment.name": "test",
        "host.name": "web-1",
    }


def _duration(sender: Worker) -> Histogram:
    return sender.meters.get_meter("http").create_histogram(
        "http.server.request.duration",
        unit="s",
        explicit_bucket_boundaries_advisory=[0.1, 0.5, 1.0],
    )


def _record_requests(sender: Worker) -> str:
    """Record the requests within a span, and return its trace's id."""
    histogram = _duration(sender)
    with sender.tracers.get_tracer("http").start_as_current_span("requests") as span:
        for attributes, count in _REQUESTS:
            for _ in range(count):
                histogram.record(0.2, attributes)
    return format(span.get_span_context().trace_id, "032x")


def _record_platform(gateway: Worker) -> None:
    meter = gateway.meters.get_meter("ansflow_gateway")
    runs = meter.create_histogram("cicd.pipeline.run.duration", unit="s")
    for pipeline, attributes, count in _RUNS:
        named = {"cicd.pipeline.name": pipeline, "ansflow.project.name": "web", **attributes}
        for _ in range(count):
            runs.record(2.0, {"cicd.pipeline.run.state": "executing", **named})
        runs.record(60.0, {"cicd.pipeline.run.state": "pending", **named})
    meter.create_counter("ansflow.user.activity", unit="{action}").add(
        2, {"action": "login", "user_type": "admin"}
    )
    _observe(
        gateway, "system.cpu.utilization", "1", [({"cpu.mode": "idle"}, 0.625), ({"cpu.mode": "user"}, 0.375)]
    )
    _observe(
        gateway,
        "system.memory.utilization",
        "1",
        [({"system.memory.state": "used"}, 1), ({"system.memory.state": "free"}, 0)],
    )
    _observe(
        gateway,
        "system.filesystem.utilization",
        "1",
        [
            (_disk("/dev/a", "/"), 0.5),
            (_disk("/dev/b", "/"), 0.125),
            (_disk("/dev/c", "/var"), 0.25),
            ({**_disk("/dev/c", "/var"), "system.filesystem.state": "free"}, 0.75),
        ],
    )
    _observe(gateway, "ansflow.active_projects", "{project}", [({}, 3)])
    _observe(
        gateway,
        "ansflow.health_check.status",
        "",
        [({"service": "fastapi", "check": "overall"}, 1), ({"service": "django", "check": "overall"}, 0)],
    )


def _disk(device: str, mountpoint: str) -> dict[str, str]:
    return {
        "system.device": device,
        "system.filesystem.mountpoint": mountpoint,
        "system.filesystem.type": "ext4",
        "system.filesystem.state": "used",
    }


def _observe(
    gateway: Worker, name: str, unit: str, values: list[tuple[Mapping[str, str], int | float]]
) -> None:
    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(value, attributes) for attributes, value in values]

    gateway.meters.get_meter("ansflow_gateway").create_observable_gauge(name, [observe], unit=unit)
