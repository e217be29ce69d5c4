"""What is beyond an instrument's cardinality limit, as it is served by the real Collector."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.samples import Sample
from support.collector import Collector
from support.polling import poll_until

pytestmark = pytest.mark.integration

PROGRAM = """
from opentelemetry import metrics
visits = metrics.get_meter("shop").create_counter("shop.visits")
for user in range(100):
    visits.add(1, {"user": str(user)})
"""


def test_the_overflow_is_a_series_of_its_own(collector: Collector, tmp_path: Path) -> None:
    """Of 100 users, a limit of 10 leaves nine series and one labelled as the overflow; the sum is exact."""
    scripts = Path(sys.executable).parent
    subprocess.run(
        [scripts / "opentelemetry-instrument", sys.executable, "-c", PROGRAM],
        env={
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "ANSFLOW_METRICS_CARDINALITY_LIMITS": "shop.*=10",
        },
        cwd=tmp_path,
        check=True,
    )

    def served() -> list[Sample]:
        samples = collector.scrape().of("shop_visits_total")
        assert len(samples) == 10
        return samples

    samples = poll_until(served)
    assert sum(sample.value for sample in samples) == 100
    (overflow,) = [sample for sample in samples if sample.labels.get("otel_metric_overflow") == "true"]
    assert overflow.value == 91
