"""Traces, logs, span metrics, health and the Collector's own telemetry, on a real Collector."""

import contextlib
import http.client
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansflow_stack.checks.collector_validate import combinations, main
from click.testing import CliRunner
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import SpanKind, Status, StatusCode
from prometheus_client.parser import text_string_to_metric_families
from support.collector import CONFIG, Collector, Exposition, run_collector
from support.polling import poll_until
from support.programs import find_binary, get
from support.senders import Worker, worker

pytestmark = pytest.mark.integration

_OK_SPANS = 3
_FAILED_SPANS = 2


@dataclass(frozen=True)
class Sent:
    """Spans and logs that two workers of a service, and one of another, have sent."""

    collector: Collector
    trace_ids: set[str]
    first: Exposition
    """The first page that had span metrics."""


@pytest.fixture(name="sent", scope="module")
def _sent(collector: Collector) -> Iterator[Sent]:
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(worker(collector.endpoint, _resource(name, slot)))
            for name, slot in (("api", "0"), ("api", "1"), ("admin", "0"))
        ]
        trace_ids = {trace_id for each in workers for trace_id in _record(each)}

        def check() -> Exposition:
            served = collector.scrape()
            assert served.of("traces_span_metrics_calls_total")
            return served

        yield Sent(collector, trace_ids, poll_until(check))


def test_span_metrics_count_every_span_over_workers(sent: Sent) -> None:
    """Workers share a series without overwriting each other, by service, span and status; in seconds."""

    def check() -> None:
        served = sent.collector.scrape()
        by = ("service_name", "span_name", "span_kind", "status_code")
        counts = {
            ("api", "GET /projects", "SPAN_KIND_SERVER", "STATUS_CODE_UNSET"): 2.0 * _OK_SPANS,
            ("api", "GET /projects", "SPAN_KIND_SERVER", "STATUS_CODE_ERROR"): 2.0 * _FAILED_SPANS,
            ("admin", "GET /projects", "SPAN_KIND_SERVER", "STATUS_CODE_UNSET"): 1.0 * _OK_SPANS,
            ("admin", "GET /projects", "SPAN_KIND_SERVER", "STATUS_CODE_ERROR"): 1.0 * _FAILED_SPANS,
        }
        assert served.sums("traces_span_metrics_calls_total", by) == counts
        assert served.sums("traces_span_metrics_duration_seconds_count", by) == counts
        half_second = served.sums("traces_span_metrics_duration_seconds_bucket", by, le="0.5")
        assert half_second == counts
        quarter_second = served.sums("traces_span_metrics_duration_seconds_bucket", by, le="0.25")
        assert set(quarter_second.values()) == {0.0}

    poll_until(check)


def test_span_metrics_carry_the_resource_s_identity_and_exemplars(sent: Sent) -> None:
    """Namespace and environment are labels, no random id is, and buckets lead to the traces."""
    samples = sent.first.of("traces_span_metrics_duration_seconds_bucket")
    for sample in samples:
        assert sample.labels["service_namespace"] == "ansflow"
        assert sample.labels["deployment_environment_name"] == "test"
        assert not {"collector_instance_id", "job", "instance"} & set(sample.labels)
    served_ids = {sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar}
    assert served_ids
    assert served_ids <= sent.trace_ids


def test_spans_are_written_to_a_file(sent: Sent) -> None:
    """Each line is OTLP JSON; every span of every worker is there once."""

    def check() -> None:
        spans = [
            span
            for line in sent.collector.lines("traces")
            for resource in line["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        assert len(spans) == 3 * (_OK_SPANS + _FAILED_SPANS)
        assert {span["traceId"] for span in spans} == sent.trace_ids

    poll_until(check)


def test_log_records_are_written_to_a_file_with_their_trace(sent: Sent) -> None:
    """A record keeps its body, its severity and the trace it was written in."""

    def check() -> None:
        records: list[dict[str, Any]] = [
            record
            for line in sent.collector.lines("logs")
            for resource in line["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]
        assert len(records) == 3 * _FAILED_SPANS
        assert {record["traceId"] for record in records} <= sent.trace_ids
        assert {record["body"]["stringValue"] for record in records} == {"it failed"}
        assert {record["severityText"] for record in records} == {"ERROR"}

    poll_until(check)


_TELEMETRY = {
    "otelcol_exporter_sent_log_records_total",
    "otelcol_exporter_sent_spans_total",
    "otelcol_process_memory_rss_bytes",
    "otelcol_process_uptime_seconds_total",
    "otelcol_processor_memory_limiter_accepted_spans_total",
    "otelcol_receiver_accepted_log_records_total",
    "otelcol_receiver_accepted_spans_total",
    "otelcol_receiver_failed_spans_total",
    "otelcol_receiver_refused_spans_total",
}
"""The names on the self-telemetry endpoint that dashboards and alerts may use."""


def test_its_own_telemetry_has_the_names_that_alerts_use(sent: Sent) -> None:
    """Names carry unit and type, as the flags in the configuration say, whatever their defaults become."""

    def check() -> None:
        # The very text: a parser would add what is missing of a counter's name.
        lines = get(f"http://127.0.0.1:{sent.collector.telemetry}/metrics").splitlines()
        assert {re.split("[{ ]", line)[0] for line in lines} >= _TELEMETRY

    poll_until(check)


def test_its_own_count_of_spans_is_what_was_sent(sent: Sent) -> None:
    """What came in is what went out to the file and into span metrics."""

    def check() -> None:
        text = get(f"http://127.0.0.1:{sent.collector.telemetry}/metrics")
        values = {
            (sample.name, sample.labels.get("exporter")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        expected = 3.0 * (_OK_SPANS + _FAILED_SPANS)
        assert values["otelcol_receiver_accepted_spans_total", None] == expected
        assert values["otelcol_exporter_sent_spans_total", "file/traces"] == expected

    poll_until(check)


def test_health_is_answered(collector: Collector) -> None:
    """The health check says that the Collector is available."""
    assert '"status":"Server available"' in get(f"http://127.0.0.1:{collector.health}/")


def test_grpc_is_listened_for_on_loopback_only(collector: Collector) -> None:
    """OTLP over gRPC is taken at 127.0.0.1, and at no other address of this machine."""
    with socket.create_connection(("127.0.0.1", collector.otlp_grpc), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", collector.otlp_grpc), timeout=5)


def test_bad_otlp_is_refused_and_harms_nothing(collector: Collector) -> None:
    """What is no OTLP gets a 400; the Collector goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.otlp_http, timeout=5)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/metrics", b"not OTLP", {"Content-Type": "application/x-protobuf"})
        assert connection.getresponse().status == 400
    get(f"http://127.0.0.1:{collector.health}/")


def test_without_the_overlay_only_standard_names_are_served(tmp_path: Path) -> None:
    """Published names are an overlay's work; traces and logs may go nowhere, and span metrics are made."""
    with run_collector(["signals-none"], tmp_path) as own:
        with worker(own.endpoint, _resource("ansflow-fastapi", "0")) as sender:
            _record(sender)
            sender.meters.get_meter("http").create_histogram("http.server.request.duration", unit="s").record(
                1
            )

        def check() -> None:
            served = own.scrape()
            assert served.of("http_server_request_duration_seconds_count")
            assert served.of("traces_span_metrics_calls_total")
            assert not [name for name in served.families if name.startswith(("ansflow_", "django_"))]

        poll_until(check)
        assert not own.data.exists()


def test_traces_and_logs_are_sent_on_by_otlp(tmp_path: Path) -> None:
    """With signals-otlp, a second Collector in the backends' place gets every span and record."""
    for name in ("backend", "front"):
        (tmp_path / name).mkdir()
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(run_collector(["signals-file"], tmp_path / "backend"))
        env = {"ANSFLOW_TEMPO_ENDPOINT": backend.endpoint, "ANSFLOW_LOKI_ENDPOINT": backend.endpoint}
        front = stack.enter_context(run_collector(["signals-otlp"], tmp_path / "front", env))
        with worker(front.endpoint, _resource("api", "0")) as sender:
            trace_ids = _record(sender)

        def check() -> None:
            traces, logs = json.dumps(backend.lines("traces")), json.dumps(backend.lines("logs"))
            assert [traces.count(trace_id) for trace_id in trace_ids] == [1] * len(trace_ids)
            assert logs.count("it failed") == _FAILED_SPANS

        poll_until(check)


def test_every_combination_is_valid_to_the_collector() -> None:
    """The check that `make check` runs passes, and has a line for each combination."""
    result = CliRunner().invoke(main, ["--otelcol", str(find_binary("ansflow-otelcol", "ANSFLOW_OTELCOL"))])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"ok   {combination}" for combination in combinations()]


def test_a_combination_without_signals_is_refused() -> None:
    """The base alone has pipelines that lead nowhere: forgetting the signals overlay can't pass unseen."""
    otelcol = find_binary("ansflow-otelcol", "ANSFLOW_OTELCOL")
    command = [str(otelcol), "validate", "--config", str(CONFIG / "base.yaml")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode != 0
    assert "service::pipelines::traces/out: must have at least one exporter" in answer.stderr


def _resource(service: str, slot: str) -> dict[str, str]:
    return {
        "service.name": service,
        "service.namespace": "ansflow",
        "service.instance.id": slot,
        "deployment.environment.name": "test",
        # Differs between workers, and is no reason for a series of its own.
        "process.pid": f"100{slot}",
    }


def _record(sender: Worker) -> set[str]:
    """Send spans of 0.4 s, some of them failed and logged about; return their traces' ids."""
    tracer = sender.tracers.get_tracer("http")
    logger = sender.loggers.get_logger("http")
    trace_ids = set()
    for number in range(_OK_SPANS + _FAILED_SPANS):
        start = 1_700_000_000_000_000_000
        span = tracer.start_span("GET /projects", kind=SpanKind.SERVER, start_time=start)
        context = span.get_span_context()
        trace_ids.add(format(context.trace_id, "032x"))
        if number >= _OK_SPANS:
            span.set_status(Status(StatusCode.ERROR))
            logger.emit(
                LogRecord(
                    timestamp=start,
                    trace_id=context.trace_id,
                    span_id=context.span_id,
                    trace_flags=context.trace_flags,
                    severity_number=SeverityNumber.ERROR,
                    severity_text="ERROR",
                    body="it failed",
                )
            )
        span.end(end_time=start + 400_000_000)
    return trace_ids
