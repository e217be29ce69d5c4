"""What the doctor says of variables."""

import re
from pathlib import Path

import pytest
from ansflow_instrumentation.configuration.variables import VARIABLES
from ansflow_instrumentation.doctor.settings import effective_settings, find_problems, hidden

INSTALLED = ["fastapi", "redis", "sqlalchemy"]

SOURCE = Path(__file__).parents[4] / "instrumentation"


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPONT": "x"},
            "OTEL_EXPORTER_OTLP_ENDPONT is not a variable that anything reads; did you mean "
            "OTEL_EXPORTER_OTLP_ENDPOINT?",
        ),
        (
            {"ANSFLOW_METRIC_BUCKETS": "x"},
            "ANSFLOW_METRIC_BUCKETS is not a variable that anything reads; did you mean "
            "ANSFLOW_METRICS_BUCKETS?",
        ),
        (
            {"ANSFLOW_ENABLED_INSTRUMENTATIONS": "fastpi,redis"},
            "ANSFLOW_ENABLED_INSTRUMENTATIONS: 'fastpi' is no instrumentation here; did you mean 'fastapi'?",
        ),
        (
            {"OTEL_TRACES_SAMPLER_ARG": "0.1"},
            "OTEL_TRACES_SAMPLER_ARG='0.1' has no effect without "
            "OTEL_TRACES_SAMPLER=parentbased_traceidratio",
        ),
        (
            {"OTEL_PYTHON_FASTPI_EXCLUDED_URLS": "x"},
            "OTEL_PYTHON_FASTPI_EXCLUDED_URLS is not a variable that anything reads; did you mean "
            "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS?",
        ),
        ({"ANSFLOW_PROMETHEUS_BRIDGE": "ture"}, "ANSFLOW_PROMETHEUS_BRIDGE='ture': expected true or false"),
        (
            {"ANSFLOW_WEBSOCKET_MESSAGE_SPANS": "ja"},
            "ANSFLOW_WEBSOCKET_MESSAGE_SPANS='ja': expected true or false",
        ),
        (
            {"ANSFLOW_FLUSH_TIMEOUT": "3s"},
            "ANSFLOW_FLUSH_TIMEOUT='3s': expected a whole number of milliseconds",
        ),
        (
            {"ANSFLOW_BUSINESS_SERIES_LIMIT": "0"},
            "ANSFLOW_BUSINESS_SERIES_LIMIT='0': expected a whole number, 1 or more",
        ),
        (
            {"ANSFLOW_HTTP_INSTRUMENTATION": "contib"},
            "ANSFLOW_HTTP_INSTRUMENTATION='contib': expected fast or contrib",
        ),
        ({"OTEL_SDK_DISABLED": "ture"}, "OTEL_SDK_DISABLED='ture': expected true or false"),
        (
            {"OTEL_SEMCONV_STABILITY_OPT_IN": "htp,database"},
            "OTEL_SEMCONV_STABILITY_OPT_IN='htp,database': expected one or several of http, http/dup, "
            "database, database/dup",
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http"},
            "OTEL_EXPORTER_OTLP_PROTOCOL='http': expected http/protobuf or grpc",
        ),
    ],
)
def test_what_cannot_be_meant_so_is_a_problem(env: dict[str, str], problem: str) -> None:
    """Names that resemble one that is read, and values without effect, are a sentence of advice."""
    assert list(find_problems(env, INSTALLED)) == [problem]


def test_a_component_that_is_not_installed_is_a_problem() -> None:
    """Exporters and propagators are named as they are installed; the sentence has the names."""
    (exporter,) = find_problems({"OTEL_METRICS_EXPORTER": "otpl"}, INSTALLED)
    assert re.fullmatch(
        r"OTEL_METRICS_EXPORTER='otpl': expected one or several of console, otlp, .*none", exporter
    )
    (propagator,) = find_problems({"OTEL_PROPAGATORS": "tracecontext,w3c"}, INSTALLED)
    assert propagator.startswith("OTEL_PROPAGATORS='tracecontext,w3c': 'w3c' is not installed")


def test_what_others_read_is_no_problem() -> None:
    """Variables of other programs (the gateway's, another language's SDK) are theirs."""
    env = {
        "ANSFLOW_GATEWAY_TOKEN": "x",
        "ANSFLOW_DATA_DIR": "x",
        "ANSFLOW_OTELCOL": "x",
        "OTEL_JAVAAGENT_ENABLED": "x",
        "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "x",
        "OTEL_PYTHON_HTTPX_EXCLUDED_URLS": "x",
        "OTEL_PYTHON_REQUESTS_EXCLUDED_URLS": "x",
        "OTEL_PYTHON_AIOHTTP_CLIENT_EXCLUDED_URLS": "x",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": "x",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE": "x",
        "ANSFLOW_DISABLED_INSTRUMENTATIONS": "click,system_metrics,*",
        "ANSFLOW_ENABLED_INSTRUMENTATIONS": "aiohttp_client,asyncpg,psycopg,httpx,logging",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "ansflow_requests,ansflow_aiohttp_client,aiohttp-client",
        "ANSFLOW_PROMETHEUS_BRIDGE": "True",
        "ANSFLOW_FLUSH_TIMEOUT": "",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http, messaging/dup",
        "OTEL_TRACES_EXPORTER": "otlp,console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_PROPAGATORS": "baggage, none",
    }
    assert list(find_problems(env, INSTALLED)) == []


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer x,tenant=a", "authorization=***,tenant=***"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "nonsense", "***"),
        ("ANSFLOW_GATEWAY_TOKEN", "x", "***"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:pw@host:1/a", "https://***@host:1/a"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://host:1/a", "https://host:1/a"),
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "x-tenant,.*", "x-tenant,.*"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/etc/key.pem", "/etc/key.pem"),
    ],
)
def test_secrets_are_hidden(name: str, value: str, shown: str) -> None:
    """Headers, tokens and passwords in URLs are not shown; the paths of files are."""
    assert hidden(name, value) == shown


def test_origins_are_told_apart(tmp_path: Path) -> None:
    """A variable is the user's, the configuration file's, or a default."""
    pytest.importorskip("opentelemetry.configuration")
    file = tmp_path / "telemetry.yaml"
    file.write_text('file_format: "1.0"\ndistribution: {ansflow: {metrics_dropped: [a.b, c]}}\n')
    env = {"OTEL_CONFIG_FILE": str(file), "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": ""}
    settings = {setting.name: (setting.value, setting.origin) for setting in effective_settings(env)}
    assert settings["OTEL_TRACES_EXPORTER"] == ("none", "yours")
    assert settings["OTEL_LOGS_EXPORTER"] == ("otlp", "default")
    assert settings["ANSFLOW_METRICS_DROPPED"] == ("a.b,c", "file")
    assert env["OTEL_LOGS_EXPORTER"] == ""  # the environment itself is left as it was


def test_an_expression_that_is_dropped_is_not_in_force() -> None:
    """What is left of the user's list is the user's; of a list with nothing left, the default applies."""
    env = {"OTEL_PYTHON_HTTPX_EXCLUDED_URLS": "/a(,/b", "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "/a("}
    settings = {setting.name: (setting.value, setting.origin) for setting in effective_settings(env)}
    assert settings["OTEL_PYTHON_HTTPX_EXCLUDED_URLS"] == ("/b", "yours")
    assert settings["OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"][1] == "default"


def test_every_variable_is_listed() -> None:
    """The list of the distro's own variables, and the README's table, have those that its source reads."""
    text = "\n".join(
        path.read_text() for path in (SOURCE / "src").rglob("*.py") if path.name != "variables.py"
    )
    read = set(re.findall(r"(?<![_A-Z])ANSFLOW_[A-Z_]+[A-Z](?![A-Z_*])", text))
    assert set(VARIABLES) == read
    section = (
        (SOURCE / "README.md").read_text().partition("## All variables of its own")[2].partition("\n## ")[0]
    )
    assert dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", section, re.MULTILINE)) == dict(VARIABLES)
