"""The committed Prometheus configuration, on a real Prometheus that scrapes a real Collector."""

import contextlib
import json
import subprocess
import time

import pytest
from support.collector import Collector
from support.polling import poll_until
from support.programs import ROOT, find_binary, get
from support.prometheus_api import PrometheusApi
from support.senders import worker

pytestmark = pytest.mark.integration

_REQUESTS = 7


@pytest.fixture(name="scraped", scope="module")
def _scraped(collector: Collector, prometheus: PrometheusApi) -> tuple[PrometheusApi, set[str]]:
    """Prometheus has scraped what two workers sent; with the traces of their requests."""
    trace_ids = set()
    for slot in ("0", "1"):
        resource = {
            "service.name": "ansflow-fastapi",
            "service.namespace": "ansflow",
            "service.instance.id": slot,
            "host.name": "web-1",
        }
        with worker(collector.endpoint, resource) as sender:
            histogram = sender.meters.get_meter("http").create_histogram(
                "http.server.request.duration", unit="s"
            )
            with sender.tracers.get_tracer("http").start_as_current_span("GET /") as span:
                for version in ("1.0", "1.1"):
                    for _ in range(_REQUESTS):
                        histogram.record(0.2, _attributes(version))
            trace_ids.add(format(span.get_span_context().trace_id, "032x"))
            # A gauge whose name ends like a counter's.
            projects = sender.meters.get_meter("gateway").create_gauge("ansflow.active_projects")
            projects.set(3)

    def check() -> None:
        assert prometheus.value("count(ansflow_http_requests_total)") == 2
        assert prometheus.value("count(traces_span_metrics_calls_total)") == 1

    poll_until(check)
    return prometheus, trace_ids


def test_counts_are_exact_in_prometheus(scraped: tuple[PrometheusApi, set[str]]) -> None:
    """What was recorded is what is queried, summed over workers and protocol versions."""
    prometheus, _ = scraped
    labels = '{method="GET",route="/",status="200"}'
    for name in (
        "ansflow_http_requests_total",
        "ansflow_http_request_duration_seconds_count",
        'ansflow_http_request_duration_seconds_bucket{le="+Inf"}',
    ):
        selector = name.replace("}", "," + labels[1:]) if "{" in name else name + labels
        assert prometheus.value(f"sum({selector})") == 4 * _REQUESTS
    assert prometheus.value("sum(ansflow_http_request_duration_seconds_sum)") == pytest.approx(
        0.2 * 4 * _REQUESTS
    )
    assert prometheus.value("sum(http_server_request_duration_seconds_count)") == 4 * _REQUESTS


def test_services_keep_their_own_job_and_instance(scraped: tuple[PrometheusApi, set[str]]) -> None:
    """The Collector's labels are honoured: there is no exported_job, and a worker is an instance."""
    prometheus, _ = scraped
    series = prometheus.query("ansflow_http_requests_total")
    assert {(each.labels["job"], each.labels["instance"]) for each in series} == {
        ("ansflow/ansflow-fastapi", "0"),
        ("ansflow/ansflow-fastapi", "1"),
    }
    assert prometheus.query('{exported_job!=""}') == []
    assert prometheus.query('{exported_instance!=""}') == []


def test_a_label_that_is_in_target_info_can_be_joined(scraped: tuple[PrometheusApi, set[str]]) -> None:
    """One target_info a worker, so a join on job and instance is one to one."""
    prometheus, _ = scraped
    joined = prometheus.query(
        "ansflow_http_requests_total * on (job, instance) group_left (host_name) target_info"
    )
    assert [each.labels["host_name"] for each in joined] == ["web-1", "web-1"]


def test_what_has_no_service_has_the_scrape_s_job(
    scraped: tuple[PrometheusApi, set[str]], collector: Collector
) -> None:
    """Span metrics belong to no worker; they are told apart by service_name under the Collector's job."""
    prometheus, _ = scraped

    def check() -> None:
        (series,) = prometheus.query("traces_span_metrics_calls_total")
        assert series.labels["job"] == "collector"
        assert series.labels["instance"] == f"127.0.0.1:{collector.metrics}"
        assert series.labels["service_name"] == "ansflow-fastapi"
        # The connector serves a new series with 0 first, so that its rise is seen.
        assert series.value == 2

    poll_until(check)


def test_a_gauge_that_ends_in_total_stays_a_gauge(scraped: tuple[PrometheusApi, set[str]]) -> None:
    """The published name of active projects is taken as it is, beside its standard one."""
    prometheus, _ = scraped
    assert [each.value for each in prometheus.query("ansflow_active_projects_total")] == [3, 3]
    assert [each.value for each in prometheus.query("ansflow_active_projects")] == [3, 3]


def test_the_hit_ratio_is_made_of_look_ups_of_all_workers(
    collector: Collector, prometheus: PrometheusApi
) -> None:
    """Three hits of one worker to a miss of another are 0.75; writes and errors are no look-ups."""
    with contextlib.ExitStack() as stack:
        counters = []
        senders = []
        for slot in ("0", "1"):
            resource = {
                "service.name": "ansflow-django",
                "service.namespace": "ansflow",
                "service.instance.id": slot,
            }
            sender = stack.enter_context(worker(collector.endpoint, resource))
            senders.append(sender)
            counters.append(sender.meters.get_meter("caches").create_counter("ansflow.cache.operations"))

        def count(number: int, status: str, operations: int) -> None:
            operation = "set" if status == "ok" else "get"
            counters[number].add(operations, {"cache": "default", "operation": operation, "status": status})

        # An increase can be seen from the second scrape of a series on.
        for status in ("hit", "miss", "ok", "error"):
            for number in (0, 1):
                count(number, status, 0)
        for sender in senders:
            sender.flush()

        def first_seen() -> None:
            assert prometheus.value('count(ansflow_cache_operations_total{cache="default"})') == 8

        poll_until(first_seen)
        count(0, "hit", 300)
        count(1, "miss", 100)
        count(0, "ok", 1000)
        count(1, "error", 1000)
        for sender in senders:
            sender.flush()

        def recorded() -> None:
            ratio = prometheus.query("ansflow_cache_hit_ratio")
            assert [{**each.labels, "__name__": ""} for each in ratio] == [
                {"__name__": "", "job": "ansflow/ansflow-django", "cache": "default"}
            ]
            assert ratio[0].value == pytest.approx(0.75)

        poll_until(recorded)


@pytest.mark.parametrize(
    "name", ["ansflow_http_request_duration_seconds_bucket", "traces_span_metrics_duration_seconds_bucket"]
)
def test_exemplars_are_kept_and_lead_to_traces(scraped: tuple[PrometheusApi, set[str]], name: str) -> None:
    """The exemplar API has traces of the requests, for published histograms and for span metrics."""
    prometheus, trace_ids = scraped

    def check() -> set[str]:
        now = time.time()
        found = prometheus.exemplars(name, now - 3600, now + 60)
        kept = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
        assert kept
        return kept

    assert poll_until(check) <= trace_ids


def test_each_job_is_scraped_through_its_target_file(scraped: tuple[PrometheusApi, set[str]]) -> None:
    """All targets of this run are up; a job whose target file is not there has none, and is no error."""
    prometheus, _ = scraped

    def check() -> None:
        up = {series.labels["job"]: series.value for series in prometheus.query("up")}
        assert up == {"collector": 1, "collector-telemetry": 1, "prometheus": 1}

    poll_until(check)


def test_the_collector_s_own_telemetry_is_scraped(scraped: tuple[PrometheusApi, set[str]]) -> None:
    """Queue sizes, refused and failed items are to be alerted on; here, what was taken in."""
    prometheus, _ = scraped

    def check() -> None:
        assert prometheus.value("sum(otelcol_receiver_accepted_spans_total)") == 2

    poll_until(check)


def test_the_committed_configuration_is_read_through_the_link(prometheus_url: str) -> None:
    """What runs is the committed file: its interval, its exemplars' bound, and its rules."""
    config = json.loads(get(f"{prometheus_url}/api/v1/status/config"))["data"]["yaml"]
    assert "scrape_interval: 5s" in config
    assert "max_exemplars: 100000" in config
    rules = json.loads(get(f"{prometheus_url}/api/v1/rules"))["data"]["groups"]
    committed = {file.name for file in (ROOT / "docker" / "prometheus" / "rules").glob("*.yml")}
    assert {group["file"].rpartition("/")[2] for group in rules} == committed


def test_promtool_accepts_the_configuration() -> None:
    """Syntax, rules and target files, as the container would mount them."""
    promtool = find_binary("promtool", "ANSFLOW_PROMTOOL")
    command = [str(promtool), "check", "config", str(ROOT / "docker" / "prometheus" / "prometheus.yml")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert "WARNING" not in answer.stdout + answer.stderr


def test_the_page_is_open_metrics(collector: Collector) -> None:
    """Prometheus asks for OpenMetrics, and gets it: without it there are no exemplars."""
    url = f"http://127.0.0.1:{collector.metrics}/metrics"
    page = get(url, {"Accept": "application/openmetrics-text;version=1.0.0"})
    assert page.endswith("# EOF\n")
    assert "_created" not in page


def _attributes(version: str) -> dict[str, str | int]:
    return {
        "http.request.method": "GET",
        "http.route": "/",
        "http.response.status_code": 200,
        "network.protocol.version": version,
    }
