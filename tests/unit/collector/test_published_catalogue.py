"""The catalogue of published names and the overlay that makes them say the same."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIG = Path(__file__).parents[3] / "collector-config"

CATALOGUE: list[dict[str, Any]] = yaml.safe_load((CONFIG / "published-names.catalogue.yaml").read_text())

_PUBLISHED = {
    "ansflow_http_requests_total": ["method", "route", "status"],
    "ansflow_http_request_duration_seconds": ["method", "route", "status"],
    "django_http_requests_total": ["method", "route", "status"],
    "django_request_duration_seconds": ["method", "route", "status"],
    "ansflow_system_cpu_usage_percent": ["host"],
    "ansflow_system_memory_usage_percent": ["host"],
    "ansflow_system_disk_usage_percent": ["host", "mountpoint"],
    "ansflow_pipelines_total": ["project", "status"],
    "ansflow_pipeline_duration_seconds": ["project", "pipeline", "pipeline_type", "status"],
    "ansflow_active_projects_total": [],
    "ansflow_user_activity_total": ["action", "user_type"],
    "ansflow_health_check_status": ["service", "check"],
    "ansflow_integration_calls_total": ["integration_type", "status"],
    "ansflow_websocket_connections_total": ["endpoint"],
    "ansflow_websocket_disconnections_total": ["endpoint", "code"],
    "ansflow_websocket_messages_total": ["endpoint", "direction"],
    "ansflow_websocket_connections_active": ["endpoint"],
    "ansflow_cache_operations_total": ["cache", "operation", "status"],
    "ansflow_cache_hit_ratio": ["cache"],
    "ansflow_database_connections_active": ["database", "state"],
    "ansflow_database_query_duration_seconds": ["database", "operation"],
}
"""What the platform's dashboards and alerts rely on; a name that is lost here is lost for them."""

_UNIT_SUFFIX = {"s": "_seconds", "%": "_percent"}


def test_the_published_names_keep_their_labels() -> None:
    """Names and labels are an interface: they are added to, never changed."""
    assert {entry["name"]: entry["labels"] for entry in CATALOGUE} == _PUBLISHED


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry["name"])
def test_an_entry_is_complete(entry: dict[str, Any]) -> None:
    """Docs and checks are made from the entries, so each has every field."""
    assert set(entry) == {"name", "type", "labels", "unit", "description", "from"}
    assert entry["type"] in {"counter", "gauge", "histogram"}
    assert re.fullmatch(r"[a-z][a-z0-9_]*", entry["name"])
    assert entry["description"].endswith(".")
    assert set(entry["from"]) - {"services", "also"} == {"instrument", "attributes", "by"}
    assert entry["from"]["by"] in {"overlay", "translation", "rule"}


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry["name"])
def test_the_name_tells_type_and_unit(entry: dict[str, Any]) -> None:
    """A counter ends in _total, and a unit is in the name, as Prometheus' translation makes it."""
    assert entry["type"] != "counter" or entry["name"].endswith("_total")
    assert entry["name"].endswith(_UNIT_SUFFIX.get(entry["unit"], ""))


def test_the_overlay_makes_what_the_catalogue_says() -> None:
    """The metrics that the overlay names, translated, are the catalogue's entries made by it."""
    overlay = (CONFIG / "published-names.yaml").read_text()
    made = {name.replace(".", "_") for name in re.findall(r'set\(metric\.name, "([a-z_.]+)"\)', overlay)}
    wanted = {
        re.sub(r"_(seconds|percent)$", "", entry["name"]).removesuffix(
            "_total" if entry["type"] == "counter" else ""
        )
        for entry in CATALOGUE
        if entry["from"]["by"] == "overlay"
    }
    assert made == wanted


@pytest.mark.parametrize(
    "entry",
    [entry for entry in CATALOGUE if entry["from"]["by"] == "translation"],
    ids=lambda entry: entry["name"],
)
def test_a_translated_name_is_its_instrument_s(entry: dict[str, Any]) -> None:
    """Where the overlay does nothing, the instrument's name is the published one, with its type's suffix."""
    suffix = "_total" if entry["type"] == "counter" else ""
    assert entry["name"] == entry["from"]["instrument"].replace(".", "_") + suffix
    assert entry["from"]["attributes"] == {label: label for label in entry["labels"]}


def test_a_further_instrument_translates_to_the_published_name() -> None:
    """Where two sources make one name, the second's instrument has it: the series stand side by side."""
    shared = [entry for entry in CATALOGUE if "also" in entry["from"]]
    assert [entry["name"] for entry in shared] == ["ansflow_integration_calls_total"]
    for entry in shared:
        assert entry["name"] == entry["from"]["also"].replace(".", "_") + "_total"


def test_a_name_by_rule_is_recorded_from_its_instrument_s() -> None:
    """Prometheus records it, by its labels, from what the instrument translates to."""
    rules = yaml.safe_load((CONFIG.parent / "docker" / "prometheus" / "rules" / "recording.yml").read_text())
    recorded = {rule["record"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    by_rule = [entry for entry in CATALOGUE if entry["from"]["by"] == "rule"]
    assert by_rule
    for entry in by_rule:
        assert entry["from"]["instrument"].replace(".", "_") in recorded[entry["name"]]
        assert all(label in recorded[entry["name"]] for label in entry["labels"])


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry["name"])
def test_every_label_has_its_source(entry: dict[str, Any]) -> None:
    """The source attribute of each label is told, and is one that the overlay reads."""
    assert set(entry["labels"]) == set(entry["from"]["attributes"])
    if entry["from"]["by"] == "overlay":
        overlay = (CONFIG / "published-names.yaml").read_text()
        assert all(f'attributes["{source}"]' in overlay for source in entry["from"]["attributes"].values())


@pytest.mark.parametrize("variable", ["ANSFLOW_FASTAPI_SERVICE", "ANSFLOW_DJANGO_SERVICE"])
def test_a_service_variable_has_one_default(variable: str) -> None:
    """The variable is repeated in the overlay; two defaults would tell two services apart in one file."""
    overlay = (CONFIG / "published-names.yaml").read_text()
    assert len(set(re.findall(rf"\$\{{env:{variable}:-([^}}]*)\}}", overlay))) == 1
