"""`OTEL_CONFIG_FILE` under the distro, in real processes that export to a real receiver."""

from pathlib import Path

import pytest
from ansflow_instrumentation.configuration.file import read_config_file
from support.instrumented_service import StartService, run_python
from support.otlp_metrics import newest_metric
from support.otlp_receiver import OtlpReceiver, attributes_of

PROVIDERS = """
file_format: "1.0"
tracer_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/traces"}}}}}}
meter_provider:
  readers:
    - periodic:
        exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/metrics"}}}}
        {reader}
{views}
logger_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/logs"}}}}}}
"""

MEASURE = """
from opentelemetry import metrics
meter = metrics.get_meter("shop")
orders = meter.create_counter("orders")
returns = meter.create_counter("returns")
sizes = meter.create_histogram("sizes")
weights = meter.create_histogram("weights")
for user in range(10):
    for counter in (orders, returns):
        counter.add(1, {"user": user, "host": "a"})
    for histogram in (sizes, weights):
        histogram.record(1.5, {"user": user, "host": "a"})
"""


def _write(
    receiver: OtlpReceiver, folder: Path, more: str = "", *, views: str = "", reader: str = ""
) -> dict[str, str]:
    file = folder / "telemetry.yaml"
    file.write_text(PROVIDERS.format(endpoint=receiver.endpoint, views=views, reader=reader) + more)
    return {"OTEL_CONFIG_FILE": str(file)}


def _points(receiver: OtlpReceiver, name: str) -> list[tuple[dict[str, str], float]]:
    metric = newest_metric(receiver, name)
    return [
        (attributes_of(list(point.attributes)), getattr(point, "as_int", 0) or getattr(point, "count", 0))
        for point in (metric.sum.data_points or metric.histogram.data_points)
    ]


def test_a_file_without_propagator_breaks_no_request(
    start: StartService, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Upstream every request fails; here `traceparent` is read and requests are answered and recorded."""
    variables = _write(receiver, tmp_path)
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}", variables=variables)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert service.get("/items/1", headers={"traceparent": parent}).status == 200
    service.stop()
    assert [span.trace_id.hex() for span in receiver.spans()] == ["0af7651916cd43dd8448eb211c80319c"]
    assert receiver.requests_counted() == {"/items/{item_id}": 1}


@pytest.mark.parametrize("how", ["variable", "file"])
def test_no_propagator_breaks_no_request(
    start: StartService, receiver: OtlpReceiver, tmp_path: Path, how: str
) -> None:
    """`OTEL_PROPAGATORS=none` and an empty `propagator:` leave `traceparent` unread, and requests whole."""
    variables = (
        {"OTEL_PROPAGATORS": "none"} if how == "variable" else _write(receiver, tmp_path, "propagator: {}\n")
    )
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}", variables=variables)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert service.get("/items/1", headers={"traceparent": parent}).status == 200
    service.stop()
    assert [span.parent_span_id for span in receiver.spans()] == [b""]


def test_what_the_file_says_of_the_service_counts(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Attributes of the file win over the environment's; a worker's id is derived from the file's."""
    variables = _write(
        receiver,
        tmp_path,
        """
resource:
  attributes:
    - {name: service.name, value: warehouse}
    - {name: service.instance.id, value: blue}
""",
    )
    program = f"""
{MEASURE}
import os, subprocess, sys
if not os.environ.get("WORKER"):
    subprocess.run([sys.executable, "-c", {MEASURE!r}], env={{**os.environ, "WORKER": "1"}}, check=True)
"""
    run_python(program, receiver, tmp_path, variables=variables)
    assert {resource["service.name"] for resource in receiver.resources()} == {"warehouse"}
    worker, own = sorted(receiver.instances(), key=len, reverse=True)
    assert own == "blue"
    assert worker.startswith("blue-")


def test_views_and_limits_of_a_file_hold(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Excluded attributes and cardinality limits, of views and readers, which upstream ignores, hold."""
    views = """
  views:
    - {selector: {instrument_name: orders}, stream: {aggregation_cardinality_limit: 3}}
    - {selector: {instrument_name: sizes}, stream: {attribute_keys: {excluded: ["us*"]}}}
"""
    reader = "cardinality_limits: {default: 4, counter: 2}"
    variables = _write(receiver, tmp_path, views=views, reader=reader)
    finished = run_python(MEASURE, receiver, tmp_path, variables=variables)
    assert _points(receiver, "orders") == [
        ({"user": "0", "host": "a"}, 1),
        ({"user": "1", "host": "a"}, 1),
        ({"otel.metric.overflow": "True"}, 8),
    ]
    assert _points(receiver, "sizes") == [({"host": "a"}, 10)]
    assert (len(_points(receiver, "returns")), len(_points(receiver, "weights"))) == (2, 4)
    assert "ignored" not in finished.stderr
    # What the file leaves out: the distro's name and version, the service's name and the instance's id.
    resource = receiver.resources()[-1]
    assert resource["telemetry.distro.name"] == "ansflow-instrumentation"
    assert resource["service.name"] == "shop"  # of OTEL_SERVICE_NAME
    assert resource["service.instance.id"]


def test_a_file_holds_the_distros_settings(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """`distribution: ansflow:` has the distro's variables; the environment wins, a misspelt one is told."""
    variables = _write(
        receiver,
        tmp_path,
        """
distribution:
  ansflow:
    metrics_dropped_attributes: {"*": [user, host]}
    metrics_cardinality_limits: 2
    metric_buckets: {orders: [1]}
""",
    )
    finished = run_python(
        MEASURE,
        receiver,
        tmp_path,
        variables={**variables, "ANSFLOW_METRICS_DROPPED_ATTRIBUTES": "*=host"},
    )
    assert finished.stderr.splitlines()[0] == (
        "OTEL_CONFIG_FILE: distribution.ansflow.metric_buckets is ignored; expected the end of a variable's "
        "name, as metrics_buckets"
    )
    assert _points(receiver, "orders") == [({"user": "0"}, 1), ({"otel.metric.overflow": "True"}, 9)]


def test_a_file_turns_instrumentations_off(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """`enabled: false`, without effect upstream, leaves an instrumentation off."""
    variables = _write(
        receiver,
        tmp_path,
        "instrumentation/development: {python: {logging: {enabled: false}}}\n",
    )
    run_python("import logging; logging.error('unseen')", receiver, tmp_path, variables=variables)
    assert receiver.log_records() == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("file_format: [", "Failed to parse YAML"),
        ("file_format: '1.0'\ntracer_provider: {}", "'processors' is a required property"),
        (None, "Configuration file not found"),
    ],
)
def test_a_bad_file_says_what_is_wrong_with_it(
    tmp_path: Path, content: str | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning names the variable, the file and the reason."""
    file = tmp_path / "telemetry.yaml"
    if content is not None:
        file.write_text(content)
    assert read_config_file(str(file)) is None
    (warning,) = [record for record in caplog.records if record.name.startswith("ansflow")]
    assert f"OTEL_CONFIG_FILE={str(file)!r}" in warning.getMessage()
    assert reason in warning.getMessage()


def test_with_a_bad_file_the_application_runs(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """There is one warning of the distro, and no telemetry that was not asked for."""
    (tmp_path / "telemetry.yaml").write_text("file_format: '7.0'")
    finished = run_python(
        "print('the application runs')", receiver, tmp_path, variables={"OTEL_CONFIG_FILE": "telemetry.yaml"}
    )
    assert finished.stdout == "the application runs\n"
    assert finished.stderr.count("the application runs on without it") == 1
    assert "Unsupported file_format '7.0'" in finished.stderr
    assert receiver.resources() == []
