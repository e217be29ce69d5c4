"""The containers fit together: names, ports, mounts and links that several files have to agree on."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansflow_gateway import config as gateway_config
from ansflow_stack.checks.compose_check.interpolation import Reference, parse
from ansflow_stack.checks.compose_check.project import load
from django_service.config import Config as DjangoConfig
from fastapi_service.config import Config as FastApiConfig

PROVISIONING = Path("docker/grafana/provisioning")


@pytest.fixture(scope="session")
def services(root: Path) -> dict[str, dict[str, Any]]:
    """Return the compose file's services with their variables replaced by examples and defaults."""
    return dict(load(root / "docker" / "compose.yaml", root).services())


@pytest.fixture(scope="session")
def datasources(root: Path) -> dict[str, dict[str, Any]]:
    """Return Grafana's provisioned data sources by uid."""
    text = (root / PROVISIONING / "datasources" / "ansflow.yaml").read_text()
    return {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}


def test_every_part_is_there(services: dict[str, dict[str, Any]]) -> None:
    """The stack is complete."""
    assert set(services) == {
        "alertmanager",
        "collector",
        "django",
        "django-migrate",
        "fastapi",
        "gateway",
        "grafana",
        "loki",
        "outside",
        "postgres",
        "prometheus",
        "redis",
        "tempo",
        "traffic",
    }


def test_every_container_is_confined(services: dict[str, dict[str, Any]]) -> None:
    """A read-only root, limits for processor, memory and processes, and bounded logs, on each."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert service["logging"]["options"]["max-size"], name


def test_everything_that_can_be_probed_is(services: dict[str, dict[str, Any]]) -> None:
    """Health checks are left out only where there is nothing to ask (see the comments in the file)."""
    unprobed = {name for name, service in services.items() if "healthcheck" not in service}
    assert unprobed == {"tempo", "django-migrate", "traffic"}


def test_prometheus_scrapes_containers_that_share_its_network(
    root: Path, services: dict[str, dict[str, Any]]
) -> None:
    """Each target is a service of the compose file, reachable from Prometheus."""
    files = sorted((root / "docker" / "prometheus" / "targets").glob("*.yml"))
    targets = [
        target for file in files for group in yaml.safe_load(file.read_text()) for target in group["targets"]
    ]
    assert len(targets) >= 4
    for target in targets:
        host = target.partition(":")[0]
        assert set(services[host]["networks"]) & set(services["prometheus"]["networks"]), target


def test_the_collector_runs_the_files_that_are_mounted(
    root: Path, services: dict[str, dict[str, Any]]
) -> None:
    """Its configuration is the repository's, with the overlay that sends traces and logs on."""
    names = [argument.removeprefix("--config=/etc/ansflow/") for argument in services["collector"]["command"]]
    assert names == ["base.yaml", "signals-otlp.yaml", "published-names.yaml"]
    assert all((root / "collector-config" / name).is_file() for name in names)


def test_the_collectors_variables_are_read_by_its_configuration(
    root: Path, services: dict[str, dict[str, Any]]
) -> None:
    """No variable is set that no configuration file asks for (Go reads GOMEMLIMIT itself)."""
    texts = "".join(path.read_text() for path in (root / "collector-config").glob("*.yaml"))
    for variable in services["collector"]["environment"].keys() - {"GOMEMLIMIT"}:
        assert f"${{env:{variable}:-" in texts, variable


def test_the_services_are_started_as_instrumented_code(services: dict[str, dict[str, Any]]) -> None:
    """Both watched services run under opentelemetry-instrument by their own name, the third party doesn't."""
    for name in ("fastapi", "django"):
        assert services[name]["command"][0] == "opentelemetry-instrument"
        assert services[name]["environment"]["OTEL_SERVICE_NAME"] == f"ansflow-{name}"
        assert services[name]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert "opentelemetry-instrument" not in services["outside"]["command"]


def test_addresses_between_containers_name_containers(services: dict[str, dict[str, Any]]) -> None:
    """Every URL in an environment or a command leads to a service of the file, on a network of both."""
    seen = 0
    for name, service in services.items():
        values = [*(service.get("environment") or {}).values(), *service.get("command", [])]
        for value in values:
            for host in re.findall(r"(?:https?|postgresql|redis)://(?:[^@/\s]*@)?([a-z]+)[:/]", str(value)):
                seen += 1
                assert set(services[host]["networks"]) & set(service["networks"]), (name, host)
    assert seen > 15


def test_the_gateway_asks_for_the_token_that_the_services_send(
    services: dict[str, dict[str, Any]],
) -> None:
    """Each reads the one token from its own environment, and the gateway takes nothing without it."""
    gateway = gateway_config.load({}, services["gateway"]["environment"])
    assert gateway.token == "not-a-token-change-me"
    assert not gateway.allow_unauthenticated
    assert not gateway_config.is_loopback(gateway.host)
    sent: list[DjangoConfig | FastApiConfig] = [
        DjangoConfig.from_environment(services["django"]["environment"]),
        FastApiConfig.from_environment(services["fastapi"]["environment"]),
    ]
    assert [config.event_sink_url for config in sent] == ["http://gateway:8080/v1/events"] * 2
    assert [config.event_sink_token for config in sent] == [gateway.token] * 2


def test_the_token_is_given_or_nothing_starts(root: Path) -> None:
    """Compose refuses to start without ANSFLOW_GATEWAY_TOKEN, empty or unset, and nobody else gets it."""
    raw = load(root / "docker" / "compose.yaml", root).raw["services"]
    given = {
        (name, variable): value
        for name, service in raw.items()
        for variable, value in (service.get("environment") or {}).items()
        if "TOKEN" in variable or "ANSFLOW_GATEWAY_TOKEN" in str(value)
    }
    assert given.keys() == {
        ("gateway", "ANSFLOW_GATEWAY_TOKEN"),
        ("fastapi", "EVENT_SINK_TOKEN"),
        ("django", "EVENT_SINK_TOKEN"),
    }
    for value in given.values():
        (reference,) = parse(value)
        assert isinstance(reference, Reference)
        assert (reference.name, reference.operator) == ("ANSFLOW_GATEWAY_TOKEN", ":?")


def test_what_asks_the_gateway_without_a_token_asks_for_health(
    root: Path, services: dict[str, dict[str, Any]]
) -> None:
    """Its health check reads below /health, and Prometheus scrapes the Collector, not the gateway."""
    probe = services["gateway"]["healthcheck"]["test"][-1]
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/health/\w+", probe)
    for file in (root / "docker" / "prometheus" / "targets").glob("*.yml"):
        assert "gateway" not in file.read_text(), file


def test_grafana_asks_for_a_login(services: dict[str, dict[str, Any]]) -> None:
    """No anonymous access, no sign-up, and the administrator's password from the environment."""
    environment = services["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == "not-a-password-change-me"


def test_grafana_finds_the_dashboards(root: Path, services: dict[str, dict[str, Any]]) -> None:
    """The provider's path is where compose mounts the generated JSON, and so is the home dashboard."""
    provider = yaml.safe_load((root / PROVISIONING / "dashboards" / "ansflow.yaml").read_text())["providers"][
        0
    ]
    path = provider["options"]["path"]
    assert f"./grafana/dashboards:{path}:ro" in services["grafana"]["volumes"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert json.loads((root / "docker/grafana/dashboards" / Path(home).name).read_text())
    assert str(Path(home).parent) == path
    assert provider["allowUiUpdates"] is False


def test_the_data_sources_lead_to_each_other(datasources: dict[str, dict[str, Any]]) -> None:
    """Metric → trace by exemplar, trace → logs and metrics, log → trace, each to a uid that exists."""
    assert set(datasources) == {"prometheus", "tempo", "loki"}
    exemplar = datasources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"][0]
    assert (exemplar["name"], exemplar["datasourceUid"]) == ("trace_id", "tempo")
    assert datasources["tempo"]["jsonData"]["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert datasources["tempo"]["jsonData"]["tracesToMetrics"]["datasourceUid"] == "prometheus"
    field = datasources["loki"]["jsonData"]["derivedFields"][0]
    assert (field["matcherRegex"], field["datasourceUid"]) == ("trace_id", "tempo")


def test_the_data_sources_are_containers(
    datasources: dict[str, dict[str, Any]], services: dict[str, dict[str, Any]]
) -> None:
    """Each URL's host is a service on Grafana's network."""
    for uid, source in datasources.items():
        host = re.fullmatch(r"http://([a-z]+):\d+", source["url"])
        assert host is not None, uid
        assert set(services[host[1]]["networks"]) & set(services["grafana"]["networks"])


def test_grafana_replaces_no_variable_in_the_data_sources(root: Path) -> None:
    """Every `$` is doubled: a single one would be taken for an environment variable of Grafana's."""
    text = (root / PROVISIONING / "datasources" / "ansflow.yaml").read_text()
    values = [line for line in text.splitlines() if not line.strip().startswith("#")]
    assert not re.findall(r"(?<!\$)\$(?!\$)", "\n".join(values))


def test_the_collector_is_built_from_the_manifest_by_its_own_version(root: Path) -> None:
    """The image's builder has the version that the manifest names, and no second one is written down."""
    dockerfile = (root / "docker" / "collector.Dockerfile").read_text()
    version = yaml.safe_load((root / "collector-config" / "builder.yaml").read_text())["dist"]["version"]
    assert "COPY collector-config/builder.yaml manifest.yaml" in dockerfile
    assert str(version) not in dockerfile
    extract = re.search(r"sed -n '([^']+)' manifest.yaml", dockerfile)
    assert extract is not None
    assert extract[1] == "/^dist:/,/^[^ #]/ s/^  version: *//p"


@pytest.mark.parametrize("name", ["gateway", "services"])
def test_python_images_install_what_is_locked(name: str, root: Path) -> None:
    """`uv sync --frozen` without development groups, and the members as packages, not links to source."""
    text = (root / "docker" / f"{name}.Dockerfile").read_text()
    syncs = re.findall(r"uv sync (?:[^\\\n]|\\\n)+", text)
    assert len(syncs) == 2
    for sync in syncs:
        assert {"--frozen", "--no-dev", "--no-default-groups"} <= set(sync.split())
    assert "--no-install-workspace" in syncs[0]
    assert "--no-editable" in syncs[1]


def test_images_and_makefile_install_one_uv(root: Path) -> None:
    """What reads uv.lock in an image is what wrote it."""
    compose = yaml.safe_load((root / "docker" / "compose.yaml").read_text())
    assert (
        f"UV_VERSION := {compose['x-images']['python-build-arguments']['UV_VERSION']}\n"
        in (root / "Makefile").read_text()
    )
