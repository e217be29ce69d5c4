"""Each run is made twice: with OpenTelemetry's own distro and instrumentations, and with ours."""

import os
import sys
from pathlib import Path

import pytest
from matrix.environments import Environment, UnavailableError, prepare

APPLICATIONS = Path(__file__).parent / "applications"

VANILLA = Environment("vanilla")
"""OpenTelemetry's own distro, of the same versions, without this project."""

VANILLA_VARIABLES = {
    "OTEL_PYTHON_DISTRO": "distro",
    "OTEL_PYTHON_CONFIGURATOR": "configurator",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
}
"""What its documentation tells users to set."""


@pytest.fixture(scope="session")
def vanilla_bin() -> Path:
    """Scripts of the environment without this project."""
    try:
        return prepare(VANILLA)
    except UnavailableError as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(str(unavailable))
        pytest.skip(str(unavailable))


@pytest.fixture(scope="session")
def our_bin() -> Path:
    """Scripts of this project's environment."""
    return Path(sys.executable).parent
