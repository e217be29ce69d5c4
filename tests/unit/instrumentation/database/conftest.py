"""What the tests of databases share: programs run to their end, and what they reported at each flush."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.instrumented_service import run_python
from support.mysql import MySqlServer, running_mysql
from support.otlp_receiver import OtlpReceiver
from support.recorded_calls import finished

Run = Callable[..., str]


@pytest.fixture(scope="session")
def mysql() -> Iterator[MySqlServer]:
    """A server that speaks MySQL's protocol, for all tests of the session."""
    with running_mysql() as server:
        yield server


@pytest.fixture
def run(receiver: OtlpReceiver, tmp_path: Path) -> Run:
    """Runs a program under `opentelemetry-instrument`; it exports metrics when it says so, and at its end."""

    def run_program(program: str, **variables: str) -> str:
        timing = {"OTEL_METRIC_EXPORT_INTERVAL": "600000", "PYTHONWARNINGS": "error::ResourceWarning"}
        return finished(run_python(program, receiver, tmp_path, variables={**timing, **variables}))

    return run_program
