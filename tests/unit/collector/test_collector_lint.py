"""The lint finds what otelcol validate lets pass, and nothing in what is committed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansflow_stack.checks.collector_config import load
from ansflow_stack.checks.collector_lint import lint, main
from ansflow_stack.checks.collector_validate import Combination, combinations
from click.testing import CliRunner

INVALID = Path(__file__).parent / "invalid"
CONFIG = Path(__file__).parents[3] / "collector-config"

MESSAGES = {
    "undefined-authenticator": "exporters.otlp_http.auth.authenticator: "
    "authenticator 'bearertokenauth' is not defined in extensions [undefined-authenticator]",
    "disabled-authenticator": "receivers.otlp.protocols.http.auth.authenticator: "
    "authenticator 'bearertokenauth' is defined, but not in service.extensions "
    "[disabled-authenticator]",
    "undefined-storage": "exporters.otlp_http.sending_queue.storage: "
    "storage extension 'file_storage/queue' is not defined in extensions [undefined-storage]",
    "disabled-storage": "exporters.otlp_http.sending_queue.storage: "
    "storage extension 'file_storage/queue' is defined, but not in service.extensions "
    "[disabled-storage]",
    "idle-extension": "extensions.health_check: never runs: it is not in service.extensions [idle-extension]",
    "memory-limiter-missing": "service.pipelines.traces/in.processors: "
    "expected memory_limiter first, found none [memory-limiter-missing]",
    "memory-limiter-not-first": "service.pipelines.traces.processors: "
    "expected memory_limiter first, found filter [memory-limiter-not-first]",
    "port-clash": "service.telemetry.metrics.readers.0.pull.exporter.prometheus: "
    "port 8888 is taken by receivers.otlp.protocols.http.endpoint already [port-clash]",
    "port-clash-with-a-default": "receivers.otlp.protocols.http.endpoint: "
    "port 4317 is taken by receivers.otlp.protocols.grpc.endpoint already [port-clash]",
    "beyond-loopback": "exporters.prometheus.endpoint: "
    "listens on 0.0.0.0 unless told otherwise; expected 127.0.0.1 [beyond-loopback]",
    "beyond-loopback-by-no-host": "receivers.otlp.protocols.http.endpoint: "
    "listens on every address unless told otherwise; expected 127.0.0.1 [beyond-loopback]",
    "unset-variable": "exporters.otlp_http.endpoint: "
    "variable TEMPO_ENDPOINT has no default; expected ${env:TEMPO_ENDPOINT:-…} [unset-variable]",
    "deprecated-name": "exporters.otlphttp/tempo: "
    "'otlphttp' is deprecated; expected 'otlp_http' [deprecated-name]",
    "deprecated-setting": "exporters.prometheus.add_metric_suffixes: "
    "'add_metric_suffixes' is deprecated; expected 'translation_strategy' [deprecated-setting]",
}
"""The one finding in each file of the folder."""


def test_every_invalid_file_has_its_message() -> None:
    """A file without a message would be tested for nothing, and a message without a file not at all."""
    assert {file.stem for file in INVALID.glob("*.yaml")} == set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_an_invalid_file_gives_its_one_message(name: str) -> None:
    """Each file is wrong in one way, and just that is said."""
    assert [str(finding) for finding in lint(load([INVALID / f"{name}.yaml"]))] == [MESSAGES[name]]


def test_a_finding_tells_its_rule_and_its_place() -> None:
    """Whoever reads findings in a program needs no text to be parsed."""
    (finding,) = lint(load([INVALID / "memory-limiter-not-first.yaml"]))
    assert finding.rule == "memory-limiter-not-first"
    assert finding.where == "service.pipelines.traces.processors"


@pytest.mark.parametrize("combination", combinations(), ids=str)
def test_what_is_committed_has_no_findings(combination: Combination) -> None:
    """Every combination that can be run passes."""
    assert lint(load(combination.files(CONFIG))) == []


def test_a_provided_variable_needs_no_default() -> None:
    """A secret has no default; who starts the Collector says that it is always set."""
    config = load([INVALID / "unset-variable.yaml"])
    assert lint(config, provided=["TEMPO_ENDPOINT"]) == []
    assert len(lint(config, provided=["OTHER"])) == 1


def test_a_wildcard_host_clashes_with_every_host() -> None:
    """0.0.0.0:8889 and 127.0.0.1:8889 can't both be listened on."""
    config = _running_on("0.0.0.0:8889", "127.0.0.1:8889")
    assert "port-clash" in {finding.rule for finding in lint(config)}


def test_two_loopback_addresses_share_a_port() -> None:
    """127.0.0.1:8889 and 127.0.0.2:8889 are two sockets."""
    assert lint(_running_on("127.0.0.1:8889", "127.0.0.2:8889")) == []


def test_what_is_in_no_pipeline_does_not_listen() -> None:
    """A receiver that no pipeline uses is never started, so its port is free."""
    config = _running_on("127.0.0.1:8889", "127.0.0.1:8890")
    config["receivers"]["otlp/unused"] = {"protocols": {"http": {"endpoint": "0.0.0.0:8889"}}}
    assert lint(config) == []


def test_ipv6_loopback_is_loopback() -> None:
    """An address in brackets is read without them."""
    assert lint(_running_on("[::1]:8889", "127.0.0.1:8889")) == []


def test_the_command_prints_findings_and_exits_with_1() -> None:
    """A line a finding, for people and for make."""
    result = CliRunner().invoke(main, [str(INVALID / "deprecated-name.yaml")])
    assert result.exit_code == 1
    assert result.stdout == MESSAGES["deprecated-name"] + "\n"


def test_the_command_is_silent_on_a_good_combination() -> None:
    """Nothing to say, exit code 0."""
    files = [str(CONFIG / name) for name in ("base.yaml", "signals-none.yaml")]
    result = CliRunner().invoke(main, files)
    assert (result.exit_code, result.output) == (0, "")


def test_the_command_exits_with_2_when_a_file_is_missing(tmp_path: Path) -> None:
    """A file that can't be read is not the same as one that is wrong."""
    missing = tmp_path / "missing.yaml"
    result = CliRunner().invoke(main, [str(missing)])
    assert result.exit_code == 2
    assert result.stderr == f"error: {missing}: [Errno 2] No such file or directory: '{missing}'\n"


def _running_on(otlp: str, prometheus: str) -> dict[str, Any]:
    """Return a configuration that is good but for where it listens."""
    config = yaml.safe_load((INVALID / "deprecated-setting.yaml").read_text())
    config["receivers"]["otlp"]["protocols"]["http"]["endpoint"] = otlp
    config["exporters"]["prometheus"] = {"endpoint": prometheus}
    assert isinstance(config, dict)
    return config
