"""The set-ups that are compared: what each one is, and what it has to deliver for every request.

How a set-up instruments its application is in `fastapi_application.py` and `django_application.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["BARE", "SETUPS", "Framework", "Setup", "setups_of"]


class Framework(StrEnum):
    """What serves the requests."""

    FASTAPI = "fastapi"
    DJANGO = "django"


@dataclass(frozen=True)
class Setup:
    """One way to instrument an application.

    Attributes:
        framework: What it instruments.
        key: Short name; `<framework>/<key>` on the command line.
        title: Name in the tables.
        instrumentation: Key of the starter that instruments the application.
        variables: Environment variables of the process.
        traced: Share of the requests whose SERVER span has to arrive.
        counted: Whether every request has to be counted.
        histogram: Of which each request is one observation, in a Prometheus registry; None where the OTLP
            endpoint knows.
    """

    framework: Framework
    key: str
    title: str
    instrumentation: str
    variables: Mapping[str, str] = field(default_factory=dict)
    traced: float = 0.0
    counted: bool = True
    histogram: str | None = None

    @property
    def zero_code(self) -> bool:
        """Whether a server is started under `opentelemetry-instrument`, its application knowing nothing."""
        return self.instrumentation == "ansflow"

    @property
    def name(self) -> str:
        """Name on the command line."""
        return f"{self.framework}/{self.key}"


BARE = "bare"
"""Key of the set-up that all others are compared with."""

ONE_PERCENT = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}


def _common(framework: Framework) -> list[Setup]:
    return [
        Setup(framework, BARE, "bare", "none", counted=False),
        Setup(framework, "ansflow-100", "**AnsFlow**, traces 100 % + metrics", "ansflow", traced=1.0),
        Setup(framework, "ansflow-1", "**AnsFlow**, traces 1 % + metrics", "ansflow", ONE_PERCENT, 0.01),
        Setup(
            framework,
            "ansflow-metrics",
            "**AnsFlow**, metrics only",
            "ansflow",
            {"OTEL_TRACES_EXPORTER": "none"},
        ),
        Setup(framework, "contrib", "OpenTelemetry contrib, traces + metrics", "contrib", traced=1.0),
    ]


SETUPS = (
    *_common(Framework.FASTAPI),
    Setup(Framework.FASTAPI, "native", "FastAPI native, traces + metrics", "native", traced=1.0),
    Setup(
        Framework.FASTAPI,
        "prometheus-fastapi-instrumentator",
        "prometheus-fastapi-instrumentator, metrics only",
        "prometheus-fastapi-instrumentator",
        histogram="http_request_duration_seconds",
    ),
    Setup(
        Framework.FASTAPI,
        "starlette-exporter",
        "starlette_exporter, metrics only",
        "starlette-exporter",
        histogram="starlette_request_duration_seconds",
    ),
    *_common(Framework.DJANGO),
    Setup(
        Framework.DJANGO,
        "django-prometheus",
        "django-prometheus, metrics only",
        "django-prometheus",
        histogram="django_http_requests_latency_seconds_by_view_method",
    ),
)
"""All set-ups, in the order of the tables; the bare application is the first of its framework."""


def setups_of(framework: Framework) -> list[Setup]:
    """List a framework's set-ups.

    Args:
        framework: The framework.

    Returns:
        Its set-ups, the bare application first.
    """
    return [setup for setup in SETUPS if setup.framework is framework]
