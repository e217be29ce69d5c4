"""The platform's published names, and the dashboards and rules that use them."""

import math
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from ansflow_dashboards import EVERYTHING, Expression, expressions, resolve
from ansflow_stack.local import ports
from support.load import Load
from support.polling import poll_until
from support.running_system import RunningSystem

ROOT = Path(__file__).parents[2]
CATALOGUE: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "collector-config" / "published-names.catalogue.yaml").read_text()
)

VARIABLES = {**EVERYTHING, "__rate_interval": "1h"}
"""The interval holds the load, however long ago the tests before this one have sent it."""


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry["name"])
def test_a_published_name_is_served(
    system: RunningSystem, load: Load, business: None, entry: dict[str, Any]
) -> None:
    """It is in Prometheus with its type and its labels, no label empty."""
    series = f"{entry['name']}_count" if entry["type"] == "histogram" else entry["name"]

    def served() -> None:
        samples = system.prometheus.query(series)
        assert samples, f"no data for {series}"
        for sample in samples:
            assert set(entry["labels"]) <= sample.labels.keys(), sample
        # What a rule records has no declared type.
        declared = "" if entry["from"]["by"] == "rule" else entry["type"]
        assert system.prometheus.metric_type(entry["name"]) == declared

    poll_until(served)


@pytest.mark.parametrize("expression", expressions(), ids=lambda each: f"{each.dashboard}: {each.panel}")
def test_a_dashboards_expression_has_data(
    system: RunningSystem, load: Load, business: None, delivered: None, expression: Expression
) -> None:
    """What Grafana would ask for a panel gives at least one series with a number."""

    def has_data() -> None:
        samples = system.prometheus.query(resolve(expression.expr, VARIABLES))
        assert samples, f"no data for {resolve(expression.expr, VARIABLES)}"
        assert not all(math.isnan(sample.value) for sample in samples), "only NaN"

    poll_until(has_data)


def test_all_rules_evaluate(system: RunningSystem, load: Load) -> None:
    """Prometheus has loaded every rule and finds nothing wrong with any."""

    def evaluated() -> None:
        answer = httpx.get(system.url(ports.PROMETHEUS, "/api/v1/rules"), trust_env=False).json()
        rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
        assert len(rules) > 10
        assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []

    poll_until(evaluated)
