"""Whatever fails in telemetry is one warning, and the application starts."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.instrumented_service import run_python
from support.otlp_receiver import OtlpReceiver

PLUGINS = """
import sys
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class Plugin(BaseInstrumentor):
    def instrumentation_dependencies(self): return ()
    def _uninstrument(self, **kwargs): pass

class Raises(Plugin):
    def _instrument(self, **kwargs): raise RuntimeError("broken plugin")

class Exits(Plugin):
    def _instrument(self, **kwargs): sys.exit(3)

class Panics(Plugin):
    def _instrument(self, **kwargs):
        class PanicError(BaseException): pass
        raise PanicError("as a Rust extension does")

class Works(Plugin):
    def _instrument(self, **kwargs): print("the last plugin was loaded")
"""

ENTRY_POINTS = """
[opentelemetry_instrumentor]
a_missing = shop_plugins_that_are_not_there:Missing
b_raises = shop_plugins:Raises
c_exits = shop_plugins:Exits
d_panics = shop_plugins:Panics
e_without_attribute = shop_plugins:Nothing
z_works = shop_plugins:Works
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A folder with an installed distribution of instrumentations, most of which fail."""
    folder = tmp_path / "plugins"
    metadata = folder / "shop_plugins-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "shop_plugins.py").write_text(PLUGINS)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-plugins\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def test_failing_instrumentations_are_one_warning_each(
    plugins: Path, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Each is named once with what it raised; the ones behind are loaded; the application runs."""
    finished = run_python("print('the application runs')", receiver, tmp_path, import_path=plugins)
    assert finished.returncode == 0
    assert finished.stdout == "the last plugin was loaded\nthe application runs\n"
    warnings = [line for line in finished.stderr.splitlines() if line.startswith("Loading the ")]
    failed = "instrumentation failed; the application runs on without it:"
    assert warnings == [
        f"Loading the 'b_raises' {failed} RuntimeError('broken plugin')",
        f"Loading the 'c_exits' {failed} SystemExit(3)",
        f"Loading the 'd_panics' {failed} PanicError('as a Rust extension does')",
        f"Loading the 'e_without_attribute' {failed} "
        "AttributeError(\"module 'shop_plugins' has no attribute 'Nothing'\")",
    ]


@pytest.mark.parametrize(
    "variable", ["ANSFLOW_DISABLED_INSTRUMENTATIONS", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"]
)
def test_instrumentations_can_be_turned_off(
    plugins: Path, receiver: OtlpReceiver, tmp_path: Path, variable: str
) -> None:
    """Both lists turn instrumentations off by entry-point name, with spaces or without."""
    finished = run_python(
        "print('the application runs')",
        receiver,
        tmp_path,
        import_path=plugins,
        variables={variable: "b_raises, c_exits,d_panics,e_without_attribute"},
    )
    assert "Loading the " not in finished.stderr
    assert finished.stdout == "the last plugin was loaded\nthe application runs\n"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"OTEL_TRACES_EXPORTER": "nonsense"}, "Requested component 'nonsense' not found"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}, "Unsupported OTLP protocol 'carrier-pigeon'"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "0"}, "interval value 0.0 is invalid"),
    ],
)
def test_a_failing_configuration_is_one_warning(
    receiver: OtlpReceiver, tmp_path: Path, variables: dict[str, str], reason: str
) -> None:
    """An SDK that cannot be set up is one warning that says why; the application runs without telemetry."""
    finished = run_python("print('the application runs')", receiver, tmp_path, variables=variables)
    assert finished.returncode == 0
    assert finished.stdout == "the application runs\n"
    assert finished.stderr.count("Setting up the OpenTelemetry SDK failed") == 1
    assert reason in finished.stderr


CLICK_PROGRAM = """
import click

@click.command()
def hello():
    click.echo("hello")

hello()
"""


def test_click_is_off_and_can_be_turned_on(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A command line is no span by default, and one where the user's list leaves `click` out."""
    assert run_python(CLICK_PROGRAM, receiver, tmp_path).stdout == "hello\n"
    assert receiver.spans() == []
    run_python(CLICK_PROGRAM, receiver, tmp_path, variables={"ANSFLOW_DISABLED_INSTRUMENTATIONS": ""})
    assert len(receiver.spans()) == 1


def test_a_failing_step_of_the_distro_is_one_warning_that_names_it(tmp_path: Path) -> None:
    """What comes behind the step is done all the same: the defaults are set."""
    program = """
import os
from ansflow_instrumentation import distro

def fail(env): raise RuntimeError("broken step")

distro.apply_settings_of_file = fail
distro.care_for_processes = fail
distro.AnsFlowDistro().configure()
print(os.environ["OTEL_TRACES_EXPORTER"], os.environ["OTEL_PYTHON_CONFIGURATOR"])
"""
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert finished.stdout == "otlp ansflow\n"
    went_on = "failed; the application runs on without it: RuntimeError('broken step')"
    assert [line for line in finished.stderr.splitlines() if "the application runs on" in line] == [
        f"Reading the distro's settings of the configuration file {went_on}",
        f"Caring for processes and their ends {went_on}",
    ]
