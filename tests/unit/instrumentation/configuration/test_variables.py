"""The variables in a real service."""

from pathlib import Path

import pytest
from support.instrumented_service import StartService, run_python
from support.otlp_metrics import newest_metric
from support.otlp_receiver import OtlpReceiver


@pytest.mark.parametrize("opt_in", [None, ""])
def test_old_semconv_makes_a_series_per_host_header_and_ours_one(
    start: StartService, receiver: OtlpReceiver, opt_in: str | None
) -> None:
    """Requests with many Host headers are one series, also where the opt-in variable is set to nothing."""
    variables = {} if opt_in is None else {"OTEL_SEMCONV_STABILITY_OPT_IN": opt_in}
    service = start("uvicorn", "fastapi_shop.main:app", "--port", "{port}", variables=variables)
    for number in range(20):
        assert service.get("/items/1", headers={"Host": f"host-{number}.example"}).status == 200
    service.stop()
    assert [duration.point.count for duration in receiver.durations()] == [20]
    assert "http.server.duration" not in receiver.metric_names()


def test_old_semconv_is_bounded_where_it_is_wanted(start: StartService, receiver: OtlpReceiver) -> None:
    """With contrib's old names, a series per Host header ends at the limit, and the sum is exact."""
    service = start(
        "uvicorn",
        "fastapi_shop.main:app",
        "--port",
        "{port}",
        variables={
            "ANSFLOW_HTTP_INSTRUMENTATION": "contrib",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup",
            "ANSFLOW_METRICS_CARDINALITY_LIMITS": "http.server.duration=5",
        },
    )
    for number in range(20):
        assert service.get("/items/1", headers={"Host": f"host-{number}.example"}).status == 200
    service.stop()
    old = newest_metric(receiver, "http.server.duration")
    counts = [point.count for point in old.histogram.data_points]
    assert counts == [1, 1, 1, 1, 16]


def test_bad_entries_are_one_warning_each(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Each names the variable, the value and what was expected; the rest applies."""
    finished = run_python(
        """
from opentelemetry import metrics
metrics.get_meter("shop").create_histogram("sizes").record(1)
""",
        receiver,
        tmp_path,
        variables={"ANSFLOW_METRICS_BUCKETS": "sizes=1,2; a=b; c"},
    )
    assert [line for line in finished.stderr.splitlines() if "ANSFLOW_METRICS_BUCKETS" in line] == [
        "ANSFLOW_METRICS_BUCKETS: 'a=b' is ignored; expected increasing numbers separated by commas, in the "
        "instrument's unit, or 'exponential'",
        "ANSFLOW_METRICS_BUCKETS: 'c' is ignored; expected <instrument>=<value>, entries separated by "
        "semicolons",
    ]
    metric = newest_metric(receiver, "sizes")
    assert list(metric.histogram.data_points[0].explicit_bounds) == [1, 2]


def test_a_disabled_sdk_is_silent(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED=true sends nothing, and nothing is found fault with."""
    finished = run_python(
        "import logging; logging.error('seen')",
        receiver,
        tmp_path,
        variables={"OTEL_SDK_DISABLED": "true", "ANSFLOW_METRICS_CARDINALITY_LIMITS": "5"},
    )
    assert finished.stderr.splitlines()[-1] == "ERROR:root:seen"
    assert "not built as expected" not in finished.stderr
    assert receiver.resources() == []


def test_only_what_is_enabled_is_loaded(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """contrib#1828: with an enable list of one, the logging instrumentation is not loaded."""
    run_python(
        "import logging; logging.error('unseen')",
        receiver,
        tmp_path,
        variables={"ANSFLOW_ENABLED_INSTRUMENTATIONS": "fastapi"},
    )
    assert receiver.log_records() == []
