"""Prometheus' configuration fits the Collector's, on one machine and in containers."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansflow_stack.checks.collector_config import load, with_defaults

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "docker" / "prometheus"


@pytest.fixture(name="config")
def _config() -> dict[str, Any]:
    return load([PROMETHEUS / "prometheus.yml"])


def test_only_the_collector_s_labels_are_honoured(config: dict[str, Any]) -> None:
    """Job and instance of a service come through; everybody else gets those of the scrape."""
    honoured = [job["job_name"] for job in config["scrape_configs"] if job.get("honor_labels")]
    assert honoured == ["collector"]


def test_every_path_is_relative_to_the_file(config: dict[str, Any]) -> None:
    """The same file is mounted in a container and linked into a run directory."""
    paths = [*config["rule_files"], *_target_files(config)]
    assert paths
    assert not [path for path in paths if Path(path).is_absolute()]


def test_each_job_has_a_target_file_for_containers(config: dict[str, Any]) -> None:
    """A job whose file is missing would be silent, a file without a job too."""
    files = {file.name for file in (PROMETHEUS / "targets").glob("*.yml")}
    assert {Path(path).name for path in _target_files(config)} == files
    assert {f"{job['job_name']}.yml" for job in config["scrape_configs"]} == files


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        ("collector", ("exporters", "prometheus", "endpoint")),
        ("collector-telemetry", ("service", "telemetry", "metrics", "readers")),
    ],
)
def test_a_target_s_port_is_the_collector_s_default(target: str, endpoint: tuple[str, ...]) -> None:
    """In containers the ports are the defaults, so the two files agree."""
    value: Any = load([ROOT / "collector-config" / "base.yaml"])
    for key in endpoint:
        value = value[key]
    if isinstance(value, list):
        value = value[0]["pull"]["exporter"]["prometheus"]["port"]
    port = with_defaults(str(value)).rpartition(":")[2]
    (group,) = yaml.safe_load((PROMETHEUS / "targets" / f"{target}.yml").read_text())
    assert group == {"targets": [f"collector:{port}"]}


def _target_files(config: dict[str, Any]) -> list[str]:
    discoveries = [
        discovery
        for job in [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
        for discovery in job["file_sd_configs"]
    ]
    return [path for discovery in discoveries for path in discovery["files"]]
