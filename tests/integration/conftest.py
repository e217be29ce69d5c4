"""The programs that the integration tests run: one of each for a module."""

import json
from collections.abc import Iterator

import pytest
from support.collector import Collector, run_collector
from support.programs import ROOT, find_binary, free_ports, running
from support.prometheus_api import PrometheusApi


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """The Collector as `ansflow up` runs it: files for traces and logs, and the published names."""
    with run_collector(
        ["signals-file", "published-names"], tmp_path_factory.mktemp("collector")
    ) as running_one:
        yield running_one


@pytest.fixture(scope="module")
def prometheus_url(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Prometheus with the committed configuration, linked into a directory that has its own targets."""
    binary = find_binary("prometheus", "ANSFLOW_PROMETHEUS")
    folder = tmp_path_factory.mktemp("prometheus")
    (port,) = free_ports(1)
    for name in ("prometheus.yml", "rules"):
        (folder / name).symlink_to(ROOT / "docker" / "prometheus" / name)
    (folder / "targets").mkdir()
    targets = {"collector": collector.metrics, "collector-telemetry": collector.telemetry, "prometheus": port}
    for job, target in targets.items():
        group = [{"targets": [f"127.0.0.1:{target}"]}]
        (folder / "targets" / f"{job}.yml").write_text(json.dumps(group))
    command = [
        str(binary),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--enable-feature=exemplar-storage",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(command, {}, folder / "prometheus.log", f"http://127.0.0.1:{port}/-/ready"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def prometheus(prometheus_url: str) -> Iterator[PrometheusApi]:
    """That Prometheus' query API."""
    api = PrometheusApi(prometheus_url)
    yield api
    api.close()
