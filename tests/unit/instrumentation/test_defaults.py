"""What the distro sets, and that the user's own settings win."""

import re
from pathlib import Path

import pytest
from ansflow_instrumentation.configuration.lists import reason_off
from ansflow_instrumentation.distro import (
    DEFAULTS,
    OPERATIONAL_PATHS,
    apply_defaults,
    exclude_operational_paths,
)
from ansflow_instrumentation.ownership import keep_export_single
from ansflow_instrumentation.version import __version__
from opentelemetry.util.http import parse_excluded_urls


def test_defaults_fill_an_empty_environment() -> None:
    """Each default is set where the user set nothing."""
    env: dict[str, str] = {}
    apply_defaults(env)
    assert env == dict(DEFAULTS)


def test_the_readme_lists_the_defaults() -> None:
    """README's table holds each default with its value, and no other."""
    readme = Path(__file__).parents[3] / "instrumentation" / "README.md"
    section = readme.read_text().partition("## Defaults")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", section, re.MULTILINE)) == dict(DEFAULTS)


@pytest.mark.parametrize("variable", sorted(DEFAULTS))
def test_the_users_value_wins(variable: str) -> None:
    """A value of the user's stays; an empty one does not if it is OpenTelemetry's: unset, says its spec."""
    env = {variable: "theirs"}
    apply_defaults(env)
    assert env[variable] == "theirs"
    env = {variable: ""}
    apply_defaults(env)
    assert env[variable] == (DEFAULTS[variable] if variable.startswith("OTEL_") else "")


@pytest.mark.parametrize(
    ("url", "excluded"),
    [
        ("http://127.0.0.1:8001/health", True),
        ("http://127.0.0.1:8001/health/", True),
        ("http://127.0.0.1:8001/health/live", True),
        ("https://shop.example/health/ready/", True),
        ("http://[::1]:8000/metrics", True),
        ("http://shop.example/metrics/?", True),
        ("http://shop.example/healthz", True),
        ("http://shop.example/healthcare", False),
        ("http://shop.example/health-insurance", False),
        ("http://shop.example/health/records", False),
        ("http://shop.example/clinic/health", False),
        ("http://shop.example/metrics-guide", False),
        ("http://health/", False),
        ("http://shop.example/health/orders/1", False),
        ("http://x/health/orders/1", False),
    ],
)
def test_operational_paths_are_whole_segments(url: str, excluded: bool) -> None:
    """Health and metrics paths are excluded; paths that only begin or end like one are counted."""
    # contrib searches, with each list item as a regular expression
    assert parse_excluded_urls(OPERATIONAL_PATHS).url_disabled(url) is excluded


def test_the_pattern_survives_a_comma_separated_list() -> None:
    """The pattern is one item of the list that contrib splits at commas."""
    assert "," not in OPERATIONAL_PATHS
    re.compile(OPERATIONAL_PATHS)


def test_exclusions_are_set_for_both_frameworks() -> None:
    """FastAPI's and Django's variables are set where the user excluded nothing."""
    env: dict[str, str] = {}
    exclude_operational_paths(env)
    assert env == {
        "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": OPERATIONAL_PATHS,
        "OTEL_PYTHON_DJANGO_EXCLUDED_URLS": OPERATIONAL_PATHS,
    }


def test_the_users_general_exclusions_are_not_hidden() -> None:
    """With OTEL_PYTHON_EXCLUDED_URLS set, no framework's variable is: it would take precedence."""
    env = {"OTEL_PYTHON_EXCLUDED_URLS": "admin"}
    exclude_operational_paths(env)
    assert env == {"OTEL_PYTHON_EXCLUDED_URLS": "admin"}


def test_click_and_system_metrics_are_off_by_default() -> None:
    """The distro's own list holds both, and nothing that a service needs."""
    assert reason_off("click", DEFAULTS)
    assert reason_off("system_metrics", DEFAULTS)
    assert not reason_off("fastapi", DEFAULTS)


@pytest.mark.parametrize(
    ("listed", "disabled"),
    [("", False), ("redis", False), ("redis, click", True), ("*", True), ("clicks", False)],
)
def test_the_users_list_replaces_the_distros(listed: str, disabled: bool) -> None:
    """A user's list decides alone: an empty one turns `click` on again, `*` turns all off."""
    reason = reason_off("click", {"ANSFLOW_DISABLED_INSTRUMENTATIONS": listed})
    assert reason == ("ANSFLOW_DISABLED_INSTRUMENTATIONS" if disabled else None)


@pytest.mark.parametrize(
    ("enabled", "name", "reason"),
    [
        ("", "redis", None),
        ("redis,fastapi", "redis", None),
        ("redis,fastapi", "django", "ANSFLOW_ENABLED_INSTRUMENTATIONS"),
        ("ansflow_*", "ansflow_runtime", None),
        ("aiohttp-client", "ansflow_aiohttp_client", None),
        ("redis", "ansflow_aiohttp_client", "ANSFLOW_ENABLED_INSTRUMENTATIONS"),
        ("click", "click", None),
        ("*", "click", "ANSFLOW_DISABLED_INSTRUMENTATIONS"),
    ],
)
def test_an_enable_list_leaves_the_others_off(enabled: str, name: str, reason: str | None) -> None:
    """contrib#1828: an enable list leaves all others off; what it names is on, also if off by default."""
    env = {"ANSFLOW_ENABLED_INSTRUMENTATIONS": enabled}
    apply_defaults(env)
    assert reason_off(name, env) == reason


def test_a_disable_list_wins_over_an_enable_list() -> None:
    """What the user disables stays off, whatever enables it."""
    env = {"ANSFLOW_ENABLED_INSTRUMENTATIONS": "redis", "ANSFLOW_DISABLED_INSTRUMENTATIONS": "redis"}
    assert reason_off("redis", env) == "ANSFLOW_DISABLED_INSTRUMENTATIONS"


def test_fastapis_own_exporter_is_kept_off(caplog: pytest.LogCaptureFixture) -> None:
    """FASTAPI_OTEL_AUTO_CONFIGURE=true, which would send everything twice, gives way with one warning."""
    env = {"FASTAPI_OTEL_AUTO_CONFIGURE": "TRUE"}
    keep_export_single(env)
    assert env == {"FASTAPI_OTEL_AUTO_CONFIGURE": "false"}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "FASTAPI_OTEL_AUTO_CONFIGURE='TRUE'" in caplog.text


def test_the_version_is_the_installed_one() -> None:
    """The distro reports the version of its distribution."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", __version__)
    assert __version__ != "0.0.0"
