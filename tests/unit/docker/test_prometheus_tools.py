"""Rules, rule tests, dashboards' expressions and alert routing, each judged by the real tool."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansflow_dashboards import expressions, resolve


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_rules_are_clean_by_every_lint(root: Path, find_tool: Callable[[str], str]) -> None:
    """`promtool check rules --lint=all` has nothing to say."""
    files = sorted(str(path) for path in (root / "docker" / "prometheus" / "rules").glob("*.yml"))
    done = _run(find_tool("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(files) > 0


def test_alerts_are_silent_then_fire(root: Path, find_tool: Callable[[str], str]) -> None:
    """The rule tests pass in promtool; test_rules.py sees to it that they cover every alert."""
    files = sorted(str(path) for path in (root / "docker" / "prometheus" / "tests").glob("*.yml"))
    done = _run(find_tool("promtool"), "test", "rules", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(files) > 0


def test_every_dashboard_expression_is_promql(tmp_path: Path, find_tool: Callable[[str], str]) -> None:
    """Each expression parses in promtool with its variables filled in, as one recording rule."""
    rules = [
        {"record": f"panel:expression:{number}", "expr": resolve(case.expr)}
        for number, case in enumerate(expressions())
    ]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    done = _run(find_tool("promtool"), "check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_alertmanager_accepts_its_configuration(root: Path, find_tool: Callable[[str], str]) -> None:
    """`amtool check-config` finds the receivers, routes and inhibitions valid."""
    done = _run(find_tool("amtool"), "check-config", str(root / "docker/alertmanager/alertmanager.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("receiver", "labels"),
    [
        ("watchdog", ["alertname=AnsFlowWatchdog", "severity=none"]),
        ("operators", ["alertname=AnsFlowServiceDown", "severity=critical", "service=fastapi"]),
        ("operators", ["alertname=AnsFlowCpuHigh", "severity=warning", "host=build-1"]),
    ],
)
def test_an_alert_reaches_its_receiver(
    receiver: str, labels: list[str], root: Path, find_tool: Callable[[str], str]
) -> None:
    """The watchdog goes to its own receiver and nowhere else; all else goes to the operators."""
    config = f"--config.file={root / 'docker/alertmanager/alertmanager.yml'}"
    routed = _run(
        find_tool("amtool"), "config", "routes", "test", config, f"--verify.receivers={receiver}", *labels
    )
    assert routed.returncode == 0, routed.stdout + routed.stderr
    assert routed.stdout.split() == [receiver]


def test_alertmanager_uses_matchers_and_keeps_secrets_in_files(root: Path) -> None:
    """No deprecated `match`, and no address in the configuration: each is read from a mounted file."""
    text = (root / "docker/alertmanager/alertmanager.yml").read_text()
    config = yaml.safe_load(text)
    for route in config["route"]["routes"]:
        assert not {"match", "match_re"} & route.keys()
    for rule in config["inhibit_rules"]:
        assert rule.keys() <= {"source_matchers", "target_matchers", "equal"}
    webhooks = [hook for receiver in config["receivers"] for hook in receiver["webhook_configs"]]
    assert webhooks
    assert all(hook["url_file"].startswith("/run/secrets/") and "url" not in hook for hook in webhooks)
    assert config["receivers"][1]["webhook_configs"][0]["send_resolved"] is False
