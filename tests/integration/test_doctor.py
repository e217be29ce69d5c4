"""The doctor against the real Collector."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.collector import Collector

pytestmark = pytest.mark.integration


def test_the_collector_takes_what_the_doctor_sends(collector: Collector, tmp_path: Path) -> None:
    """Each signal's empty request is answered with 200, by a Collector that is one."""
    finished = subprocess.run(
        [Path(sys.executable).parent / "ansflow-instrument", "doctor", "--json"],
        env={"OTEL_SERVICE_NAME": "shop", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    answers = json.loads(finished.stdout)["endpoints"]
    assert [(answer["signal"], answer["ok"], answer["answer"]) for answer in answers] == [
        ("traces", True, "200"),
        ("metrics", True, "200"),
        ("logs", True, "200"),
    ]
