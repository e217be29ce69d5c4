"""Fixtures of the instrumentation's tests: a real OTLP receiver and real servers that send to it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.instrumented_service import StartService, starting_services
from support.otlp_receiver import OtlpReceiver
from support.postgres import PostgresServer, running_postgres

APPLICATIONS = Path(__file__).parent / "applications"
"""The import path of the applications under test; they know nothing of telemetry."""

DISTRO = Path(__file__).parents[3] / "instrumentation"

BEFORE_NATIVE_TELEMETRY = "fastapi==0.141.1"
"""The last FastAPI without telemetry of its own."""


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """An OTLP receiver on a free port."""
    with OtlpReceiver() as otlp:
        yield otlp


@pytest.fixture
def start(receiver: OtlpReceiver, tmp_path: Path) -> Iterator[StartService]:
    """Servers that export to the receiver."""
    with starting_services(receiver, APPLICATIONS, tmp_path) as start_service:
        yield start_service


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for all tests of the session: each makes a database of its own in it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def bin_before_native_telemetry(pytestconfig: pytest.Config) -> Path:
    """The scripts of an environment with the distro and the last FastAPI without telemetry of its own."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        message = "uv is needed for an environment with an older FastAPI (UV names it, or PATH holds it)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    environment = pytestconfig.cache.mkdir("fastapi-before-native-telemetry") / "venv"
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([uv, "venv", "--quiet", "--no-project", environment], check=True)
    requirements = [BEFORE_NATIVE_TELEMETRY, "uvicorn", "websockets", "--editable", str(DISTRO)]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *requirements], check=True)
    return python.parent
