"""The alert rules against runbooks, dashboards' thresholds, the metrics' catalogue and their own tests."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansflow_dashboards import thresholds
from support.gateway_metrics import GATEWAY_METRICS
from support.standard_metrics import STANDARD_METRICS

RULES = Path(__file__).parents[3] / "docker" / "prometheus" / "rules"
ALERTS: dict[str, dict[str, Any]] = {}
RECORDED: dict[str, str] = {}
for _file in sorted(RULES.glob("*.yml")):
    for _group in yaml.safe_load(_file.read_text())["groups"]:
        ALERTS |= {rule["alert"]: rule for rule in _group["rules"] if "alert" in rule}
        RECORDED |= {rule["record"]: rule["expr"] for rule in _group["rules"] if "record" in rule}

SELECTED = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{|\(([a-z]+_[a-z_]+)(?:\)|\[)")

OF_PROMETHEUS = {"up", "target_info"}
"""Series that need no catalogue: the scrape's own, and the exporter's for every resource."""

PUBLISHED_BY_RULE = {"ansflow_cache_hit_ratio"}
"""A published name, so not named as recording rules are."""

NO_SERIES = {
    # A label.
    "cicd_system_component",
    # Recorded by the services beside what dashboards use (tests/unit/instrumentation).
    "ansflow_websocket_connection_duration_seconds",
}
"""What runbooks name that is no series of these, or no series at all."""

DRAWN = {
    "AnsFlowCpuHigh": thresholds.CPU_PERCENT.warning,
    "AnsFlowMemoryHigh": thresholds.MEMORY_PERCENT.warning,
    "AnsFlowDiskUsageHigh": thresholds.DISK_PERCENT.warning,
    "AnsFlowDiskAlmostFull": thresholds.DISK_PERCENT.critical,
    "AnsFlowHighErrorRate": thresholds.ERROR_RATIO.warning,
    "AnsFlowHighLatency": thresholds.LATENCY_SECONDS.warning,
    "AnsFlowPipelineFailures": thresholds.PIPELINE_FAILURE_RATIO.warning,
    "AnsFlowDatabasePoolNearLimit": thresholds.POOL_USED_RATIO.warning,
    "AnsFlowSlowQueries": thresholds.SLOW_QUERY_SECONDS.warning,
    "AnsFlowCacheHitRatioLow": thresholds.CACHE_HIT_RATIO.warning,
    "AnsFlowCacheErrors": thresholds.CACHE_ERROR_RATIO.warning,
    "AnsFlowIntegrationFailing": thresholds.INTEGRATION_FAILURE_RATIO.warning,
    "AnsFlowEventLoopBlocked": thresholds.EVENT_LOOP_LAG_SECONDS.warning,
    "AnsFlowThreadPoolExhausted": thresholds.WAITING_CALLS.warning,
    "AnsFlowWebSocketsBreak": thresholds.WEBSOCKET_ABNORMAL_RATIO.warning,
    "AnsFlowHealthProbeSlow": thresholds.PROBE_SECONDS.warning,
    "AnsFlowGatewayCommitsSlow": thresholds.COMMIT_SECONDS.warning,
    "AnsFlowGatewaySheds": thresholds.SHED_EVENTS.warning,
    "AnsFlowGatewayRejectsMany": thresholds.REJECTED_RATIO.warning,
    "AnsFlowGatewaySpoolWaits": thresholds.SPOOLED_EVENTS.warning,
    "AnsFlowGatewaySpoolAlmostFull": thresholds.SPOOL_USED_RATIO.warning,
    "AnsFlowGatewayPushesFail": thresholds.FAILED_PUSHES.warning,
    "AnsFlowRunsQueueLong": thresholds.QUEUE_SECONDS.warning,
}
"""The alerts whose limit a panel draws."""


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_complete(name: str, root: Path) -> None:
    """Severity, summary, description and a runbook that exists and carries the alert's name."""
    rule = ALERTS[name]
    assert re.fullmatch(r"AnsFlow[A-Z][A-Za-z]+", name)
    assert rule["labels"]["severity"] in {"none", "warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    assert (root / rule["annotations"]["runbook_url"]).read_text().startswith(f"# {name}\n")


@pytest.mark.parametrize("name", sorted(ALERTS.keys() - {"AnsFlowWatchdog"}))
def test_an_alert_waits_before_it_fires(name: str) -> None:
    """One odd sample pages nobody; the watchdog alone fires at once."""
    assert "for" in ALERTS[name]


def test_every_runbook_belongs_to_an_alert(root: Path) -> None:
    """A runbook of an alert that no longer exists is removed with it."""
    assert {path.stem for path in (root / "docs" / "runbooks").glob("AnsFlow*.md")} == set(ALERTS)


@pytest.mark.parametrize("name", DRAWN)
def test_the_dashboards_draw_the_alerts_threshold(name: str) -> None:
    """The line on a panel is where its alert fires, to the digit."""
    compared = re.search(r"[<>] ([0-9.]+)$", ALERTS[name]["expr"], re.MULTILINE)
    assert compared is not None
    assert float(compared[1]) == DRAWN[name]


def test_the_dashboards_draw_the_burn_rates_of_the_alerts() -> None:
    """They are those of the windows that the panel shows: an hour for the fast alert, a day for the slow."""
    factors = {
        name: float(re.findall(r"_(?:1h|1d) > .*\(([0-9.]+) \* ", ALERTS[name]["expr"])[0])
        for name in ("AnsFlowErrorBudgetBurnsFast", "AnsFlowErrorBudgetBurnsSlowly")
    }
    assert factors == {
        "AnsFlowErrorBudgetBurnsFast": thresholds.BURN_RATE.critical,
        "AnsFlowErrorBudgetBurnsSlowly": thresholds.BURN_RATE.warning,
    }


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_tested_silent_then_firing(name: str, root: Path) -> None:
    """Some test file asserts the alert's silence and, later in the same test, that it fires."""
    for file in (root / "docker" / "prometheus" / "tests").glob("*.yml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            cases = [case for case in test.get("alert_rule_test", []) if case["alertname"] == name]
            fires = [bool(case["exp_alerts"]) for case in cases]
            # The watchdog has no silence to assert: it fires from the first evaluation on.
            if True in fires and (fires[0] is False or name == "AnsFlowWatchdog"):
                return
    pytest.fail(f"no test sees {name} silent and then firing")


@pytest.fixture(scope="session")
def known(root: Path) -> set[str]:
    """Return what rules may read: published, standard, the gateway's, recorded, Prometheus' own series."""
    catalogue = yaml.safe_load((root / "collector-config" / "published-names.catalogue.yaml").read_text())
    delivered = [(entry["name"], entry["type"]) for entry in catalogue]
    delivered += [(metric.name, metric.type) for metric in STANDARD_METRICS + GATEWAY_METRICS]
    series = OF_PROMETHEUS | RECORDED.keys() | {name for name, _ in delivered}
    return series | {
        f"{name}_{end}" for name, kind in delivered if kind == "histogram" for end in ("bucket", "count")
    }


@pytest.mark.parametrize("name", sorted(ALERTS.keys() | RECORDED.keys()))
def test_a_rule_reads_metrics_that_are_delivered(name: str, known: set[str]) -> None:
    """Anything else would never fire."""
    expr = ALERTS[name]["expr"] if name in ALERTS else RECORDED[name]
    without_labels = re.sub(r"\b(?:by|on) \([^)]*\)", "", expr)
    used = {first or second for first, second in SELECTED.findall(without_labels)}
    used |= set(re.findall(r"\b[a-z]+:[a-z_]+:[a-z0-9_]+", expr))
    assert used <= known


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_a_runbook_asks_for_metrics_that_are_delivered(name: str, root: Path, known: set[str]) -> None:
    """Whoever is woken at night finds data behind each query."""
    text = (root / "docs" / "runbooks" / f"{name}.md").read_text()
    code = " ".join(re.findall(r"`([^`]+)`", text))
    used = set(re.findall(r"\b(?:ansflow|cicd|django|process|system)_[a-z0-9_]+\b(?!=)(?!\.)", code))
    used |= set(re.findall(r"\b[a-z]+:[a-z_]+:[a-z0-9_]+", code))
    assert used - NO_SERIES <= known


@pytest.mark.parametrize("name", sorted(RECORDED.keys() - PUBLISHED_BY_RULE))
def test_a_recorded_name_is_level_metric_operations(name: str) -> None:
    """Recording rules are named as Prometheus' documentation asks."""
    assert re.fullmatch(r"[a-z]+:[a-z_]+:[a-z0-9_]+", name)
