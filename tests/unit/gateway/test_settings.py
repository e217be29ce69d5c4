"""Settings: flags and their twins, and refusals that name the key, the value and what was expected."""

import json
import logging
from pathlib import Path

import pytest
from ansflow_gateway import config, logs
from ansflow_gateway.errors import ConfigurationError

TOKEN = "correct-horse-battery-staple"


def test_defaults_listen_on_loopback_and_push_every_five_seconds() -> None:
    """Without flags and environment the gateway is harmless, and sends to a Collector on this host."""
    settings = config.load({}, {})
    assert (settings.host, settings.port, settings.token) == ("127.0.0.1", 8080, None)
    telemetry = settings.telemetry
    assert (telemetry.endpoint, telemetry.interval_s) == ("http://localhost:4318/v1/metrics", 5)
    assert telemetry.traces_endpoint == "http://localhost:4318/v1/traces"


def test_the_flag_wins_over_its_twin_and_an_empty_variable_is_not_set() -> None:
    """A flag, then the environment, then the default."""
    environ = {"ANSFLOW_GATEWAY_PORT": "9000", "ANSFLOW_GATEWAY_PROBE_INTERVAL": ""}
    assert config.load({"port": "9001"}, environ).port == 9001
    assert config.load({"port": None}, environ).port == 9000
    assert config.load({}, environ).probe_interval == 10


def test_services_are_name_and_url_pairs() -> None:
    """The order stays; an equals sign in the URL's query stays with the URL."""
    environ = {
        "ANSFLOW_GATEWAY_SERVICES": "fastapi=http://127.0.0.1:8001/health/?a=b, django=https://d/health/,"
    }
    assert dict(config.load({}, environ).services) == {
        "fastapi": "http://127.0.0.1:8001/health/?a=b",
        "django": "https://d/health/",
    }


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:1/x"}, "http://c:1/x"),
        ({"OTEL_METRICS_EXPORTER": "none"}, None),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
                "OTEL_TRACES_EXPORTER": "none",
            },
            "http://localhost:4318/v1/metrics",
        ),
    ],
)
def test_standard_variables_say_where_metrics_go(environ: dict[str, str], endpoint: str | None) -> None:
    """The base endpoint gets the signal's path, the metrics endpoint is taken as it is."""
    assert config.load({}, environ).telemetry.endpoint == endpoint


@pytest.mark.parametrize(
    ("flags", "environ", "key", "value", "expected"),
    [
        ({"port": "eighty"}, {}, "--port", "'eighty'", "a whole number from 0 to 65535"),
        ({"port": "65536"}, {}, "--port", "'65536'", "a whole number from 0 to 65535"),
        ({"port": "-1"}, {}, "--port", "'-1'", "a whole number from 0 to 65535"),
        ({"port": "٨٠"}, {}, "--port", "'٨٠'", "a whole number from 0 to 65535"),
        (
            {},
            {"ANSFLOW_GATEWAY_PORT": "tcp://10.0.0.1:80"},
            "ANSFLOW_GATEWAY_PORT",
            "'tcp://10.0.0.1:80'",
            "a whole number from 0 to 65535",
        ),
        ({"host": "no host"}, {}, "--host", "'no host'", "an address or a host's name"),
        ({"host": "0.0.0.0"}, {}, "--host", "'0.0.0.0'", "a loopback address, unless"),  # noqa: S104 - refused
        ({"host": "::"}, {}, "--host", "'::'", "a loopback address, unless"),
        ({"probe_interval": "0"}, {}, "--probe-interval", "'0'", "a number of seconds from 0.01"),
        ({"probe_deadline": "nan"}, {}, "--probe-deadline", "'nan'", "a number of seconds from 0.01"),
        (
            {},
            {"ANSFLOW_GATEWAY_SAMPLE_INTERVAL": "inf"},
            "ANSFLOW_GATEWAY_SAMPLE_INTERVAL",
            "'inf'",
            "a number of seconds",
        ),
        ({"active_window": "soon"}, {}, "--active-window", "'soon'", "a number of seconds"),
        ({"series_limit": "0"}, {}, "--series-limit", "'0'", "a whole number from 1 to 1000000"),
        ({"dedup_window": "1e5"}, {}, "--dedup-window", "'1e5'", "a whole number from 1 to 10000000"),
        ({"log_level": "loud"}, {}, "--log-level", "'loud'", "one of debug, info, warning, error"),
        ({"log_format": "xml"}, {}, "--log-format", "'xml'", "one of logfmt, json"),
        (
            {},
            {"ANSFLOW_GATEWAY_ALLOW_UNAUTHENTICATED": "maybe"},
            "ANSFLOW_GATEWAY_ALLOW_UNAUTHENTICATED",
            "'maybe'",
            "one of yes, true, 1, no, false, 0",
        ),
        ({"services": "api"}, {}, "--services", "'api'", "name=URL pairs"),
        ({"services": "a b=http://x/"}, {}, "--services", "'a b=http://x/'", "name=URL pairs"),
        ({"services": "api=ftp://x/"}, {}, "--services", "'api=ftp://x/'", "name=URL pairs"),
        ({"services": "api=http://x:99999/"}, {}, "--services", "'api=http://x:99999/'", "name=URL pairs"),
        (
            {"services": "a=http://x/,a=http://y/"},
            {},
            "--services",
            "'a=http://x/,a=http://y/'",
            "each name once",
        ),
        ({"token": "short"}, {}, "--token", "***", "16 to 512 printable ASCII characters"),
        (
            {"token": TOKEN, "token_file": "x"},
            {},
            "--token-file",
            "'x'",
            "nothing where --token is given too",
        ),
        (
            {"token_file": "/nonexistent/token"},
            {},
            "--token-file",
            "'/nonexistent/token'",
            "a readable text file",
        ),
        (
            {},
            {"OTEL_METRIC_EXPORT_INTERVAL": "5s"},
            "OTEL_METRIC_EXPORT_INTERVAL",
            "'5s'",
            "a number of milliseconds",
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "'collector:4318'",
            "an http or https URL",
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/ v1"},
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "'http://c:4318/ v1'",
            "an http or https URL",
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "'grpc'",
            "http/protobuf",
        ),
        ({}, {"OTEL_METRICS_EXPORTER": "console"}, "OTEL_METRICS_EXPORTER", "'console'", "otlp or none"),
        ({}, {"OTEL_RESOURCE_ATTRIBUTES": "a=b,c"}, "OTEL_RESOURCE_ATTRIBUTES", "'a=b,c'", "key=value pairs"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_key(
    flags: dict[str, str], environ: dict[str, str], key: str, value: str, expected: str
) -> None:
    """The message names where the value came from, the value, and what was expected."""
    with pytest.raises(ConfigurationError) as refused:
        config.load(flags, environ)
    assert (refused.value.key, refused.value.value) == (key, value)
    assert refused.value.expected.startswith(expected)
    assert str(refused.value).startswith(f"{key} is {value}; expected {expected}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    """Every address that only this host can reach is fine as it is."""
    assert config.load({"host": host}, {}).host == host


def test_beyond_loopback_a_token_or_the_explicit_word_is_enough(tmp_path: Path) -> None:
    """A token from a file, stripped of its newline, or --allow-unauthenticated."""
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    beyond = {"host": "0.0.0.0"}  # noqa: S104 - nothing is listened on here
    assert config.load({**beyond, "token_file": str(file)}, {}).token == TOKEN
    assert config.load({**beyond, "allow_unauthenticated": "yes"}, {}).token is None


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    """A secret that wasn't mounted must not open the gateway."""
    file = tmp_path / "token"
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="a file that isn't empty"):
        config.load({"token_file": str(file)}, {})


def test_secrets_are_never_shown() -> None:
    """The effective settings mask the token, and who a URL says that the gateway is."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://me:{TOKEN}@c:4318"}
    services = f"a=http://{TOKEN}@a/health/?b=@,b=http://b/@"
    shown = config.load({"token": TOKEN, "services": services}, environ).shown()
    assert TOKEN not in str(shown)
    assert shown["services"]["value"] == {"a": "http://***@a/health/?b=@", "b": "http://b/@"}
    assert shown["otlp_metrics_endpoint"] == {
        "value": "https://***@c:4318/v1/metrics",
        "origin": "OTEL_EXPORTER_OTLP_ENDPOINT",
    }


def test_log_records_are_one_structured_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The formatter quotes what needs quotes, and keeps a traceback on the record's line."""
    record = logging.makeLogRecord(
        {"name": "x", "levelname": "INFO", "msg": "a b", "url": "http://h", "n": 3}
    )
    line = logs.StructuredFormatter(as_json=False).format(record)
    assert line.partition(" ")[2] == 'level=info logger=x msg="a b" url=http://h n=3'
    forged = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "a\nlevel=error"})
    assert logs.StructuredFormatter(as_json=False).format(forged).count("\n") == 0
    try:
        raise ValueError("boom")
    except ValueError as error:
        failed = logging.makeLogRecord(
            {
                "name": "x",
                "levelname": "ERROR",
                "msg": "m",
                "exc_info": (ValueError, error, error.__traceback__),
            }
        )
    decoded = json.loads(logs.StructuredFormatter(as_json=True).format(failed))
    assert decoded["exception"].endswith("ValueError: boom")
