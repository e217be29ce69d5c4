"""What the system consists of."""

from pathlib import Path

import pytest
from ansflow_stack.build.checkout import Checkout
from ansflow_stack.local.errors import StackError
from ansflow_stack.local.processes import Process, Selection, declare, inherited_environment
from ansflow_stack.local.rundir import RunDirectory


def _declare(selection: Selection) -> dict[str, Process]:
    checkout = Checkout.find(Path(__file__))
    processes = declare(checkout, RunDirectory(Path("run")), Path("otelcol"), Path("prom"), selection)
    return {process.name: process for process in processes}


def test_parts_can_be_left_out() -> None:
    """Without examples there is no traffic either, and the gateway has no services to probe."""
    core = {"collector", "prometheus", "gateway"}
    services = {"outside", "fastapi", "django"}
    assert _declare(Selection()).keys() == core | services | {"traffic"}
    assert _declare(Selection(traffic=False)).keys() == core | services
    without = _declare(Selection(examples=False))
    assert without.keys() == core
    assert without["gateway"].env["ANSFLOW_GATEWAY_SERVICES"] == ""


def test_telemetrys_way_is_up_before_who_uses_it_and_down_after() -> None:
    """The Collector is in a wave before the gateway, the gateway before the services, traffic last."""
    waves = {name: process.wave for name, process in _declare(Selection()).items()}
    assert waves["collector"] < waves["gateway"] < waves["fastapi"] == waves["django"] < waves["traffic"]


def test_the_collectors_memory_limit_is_gos_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """GOMEMLIMIT is 80 % of the limiter's hard limit."""
    monkeypatch.setenv("ANSFLOW_COLLECTOR_MEMORY_MIB", "1000")
    assert _declare(Selection())["collector"].env["GOMEMLIMIT"] == "800MiB"


def test_the_outside_service_is_an_integration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Collector is told its address, as loopback is the platform's otherwise; what the user set wins."""
    monkeypatch.setenv("ANSFLOW_OUTSIDE_PORT", "18010")
    assert _declare(Selection())["collector"].env["ANSFLOW_INTEGRATIONS"] == (
        "127.0.0.1:18010=artifact-registry"
    )
    monkeypatch.setenv("ANSFLOW_INTEGRATIONS", "api.github.com=github")
    assert _declare(Selection())["collector"].env["ANSFLOW_INTEGRATIONS"] == "api.github.com=github"


@pytest.mark.parametrize("value", ["lots", "63", "-1", "1e3"])
def test_a_memory_limit_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The error names the variable, its value, and what was expected."""
    monkeypatch.setenv("ANSFLOW_COLLECTOR_MEMORY_MIB", value)
    with pytest.raises(StackError, match=r"^ANSFLOW_COLLECTOR_MEMORY_MIB='.*': expected a number of MiB"):
        _declare(Selection())


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({}, {}),
        ({"ANSFLOW_GATEWAY_TOKEN": "t"}, {"EVENT_SINK_TOKEN": "t"}),
        ({"ANSFLOW_GATEWAY_TOKEN_FILE": "/f"}, {"EVENT_SINK_TOKEN_FILE": "/f"}),
        ({"ANSFLOW_GATEWAY_TOKEN": "", "ANSFLOW_GATEWAY_TOKEN_FILE": ""}, {}),
        ({"ANSFLOW_GATEWAY_TOKEN": "t", "EVENT_SINK_TOKEN": ""}, {"EVENT_SINK_TOKEN": "t"}),
        ({"ANSFLOW_GATEWAY_TOKEN": "t", "EVENT_SINK_TOKEN": "own"}, {}),
        ({"ANSFLOW_GATEWAY_TOKEN": "t", "EVENT_SINK_TOKEN_FILE": "/own"}, {}),
    ],
)
def test_the_gateways_token_is_the_publishers_too(given: dict[str, str], added: dict[str, str]) -> None:
    """Who starts the system with a token for the gateway needn't say it twice; what is said wins."""
    assert inherited_environment({"HOME": "/h", **given}) == {"HOME": "/h", **given, **added}
