"""The manifest holds what the configuration uses, at one version, and no path of a machine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansflow_stack.checks.collector_config import component_type, load, submap
from ansflow_stack.checks.collector_validate import Combination, combinations

CONFIG = Path(__file__).parents[3] / "collector-config"

_MODULES = {
    "receivers": {"otlp": "otlpreceiver"},
    "processors": {
        "memory_limiter": "memorylimiterprocessor",
        "filter": "filterprocessor",
        "transform": "transformprocessor",
    },
    "exporters": {
        "file": "fileexporter",
        "nop": "nopexporter",
        "otlp_http": "otlphttpexporter",
        "prometheus": "prometheusexporter",
    },
    "connectors": {"forward": "forwardconnector", "span_metrics": "spanmetricsconnector"},
    "extensions": {"health_check": "healthcheckextension"},
}
"""The Go module, by its last element, of each component type that the configuration uses."""


@pytest.fixture(name="manifest")
def _manifest() -> dict[str, Any]:
    return load([CONFIG / "builder.yaml"])


def test_all_components_have_the_distribution_s_version(manifest: dict[str, Any]) -> None:
    """Components of two versions may build and then disagree at run time."""
    version = manifest["dist"]["version"]
    assert {module.rpartition(" v")[2] for kind in _MODULES for module in _modules(manifest, kind)} == {
        version
    }
    assert {module.rpartition(" v")[2] for module in _modules(manifest, "providers")} == {"1.67.0"}


def test_nothing_of_one_machine_is_in_the_manifest(manifest: dict[str, Any]) -> None:
    """The build command adds its own output path, so the manifest's hash is the same everywhere."""
    assert set(manifest["dist"]) == {"name", "description", "version"}
    assert not {"replaces", "excludes"} & set(manifest)


@pytest.mark.parametrize("combination", combinations(), ids=str)
def test_every_component_in_use_is_built(manifest: dict[str, Any], combination: Combination) -> None:
    """A component that is configured and not built stops the Collector at its start."""
    config = load(combination.files(CONFIG))
    for kind, by_type in _MODULES.items():
        built = {re.split(r"[/ ]", module)[-2] for module in _modules(manifest, kind)}
        for name in submap(config, kind):
            assert by_type[component_type(name)] in built


def test_variables_in_the_configuration_are_read(manifest: dict[str, Any]) -> None:
    """Without the env provider every ${env:…} is an error; files come through the file provider."""
    providers = " ".join(_modules(manifest, "providers"))
    assert "envprovider" in providers
    assert "fileprovider" in providers


def test_yaml_files_have_no_key_twice() -> None:
    """A repeated key is an error for the Collector and silently the last one for Python."""
    for file in sorted(CONFIG.glob("*.yaml")):
        _require_unique_keys(yaml.compose(file.read_text()), file.name)


def _modules(manifest: dict[str, Any], kind: str) -> list[str]:
    return [component["gomod"] for component in manifest[kind]]


def _require_unique_keys(node: yaml.Node | None, where: str) -> None:
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), where
        for key, value in node.value:
            _require_unique_keys(value, f"{where}.{key.value}")
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _require_unique_keys(value, where)
