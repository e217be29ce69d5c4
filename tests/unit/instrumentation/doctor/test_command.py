"""`ansflow-instrument`, as it is run from a shell."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.instrumented_service import free_port, telemetry_environment
from support.otlp_receiver import OtlpReceiver

PLUGINS = """
from opentelemetry.instrumentation.distro import BaseDistro
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class Distro(BaseDistro):
    def _configure(self, **kwargs): pass

class Works(BaseInstrumentor):
    def instrumentation_dependencies(self): return ()
    def _instrument(self, **kwargs): pass
    def _uninstrument(self, **kwargs): pass

class Raises(Works):
    def _instrument(self, **kwargs): raise RuntimeError("broken plugin")
"""

ENTRY_POINTS = {
    "shop_works": "[opentelemetry_instrumentor]\nshop_works = shop_plugins:Works\n",
    "shop_raises": "[opentelemetry_instrumentor]\nshop_raises = shop_plugins:Raises\n",
    "shop_absent": "[opentelemetry_instrumentor]\nshop_absent = shop_plugins:Works\n",
    "shop_conflict": "[opentelemetry_instrumentor]\nshop_conflict = shop_plugins:Works\n",
    # A name of contrib's that ours stands in for.
    "shop_old": "[opentelemetry_instrumentor]\naiomysql = shop_plugins:Works\n",
    "shop_distro": "[opentelemetry_distro]\nshop = shop_plugins:Distro\n",
}

REQUIRES = {
    "shop_absent": 'Provides-Extra: instruments\nRequires-Dist: no-such-library>=1; extra == "instruments"\n',
    "shop_old": 'Provides-Extra: instruments\nRequires-Dist: aiomysql<0.0.1; extra == "instruments"\n',
    "shop_conflict": 'Provides-Extra: instruments\nRequires-Dist: fastapi<0.1; extra == "instruments"\n',
}


def _install(folder: Path, *names: str) -> None:
    """Install distributions with instrumentations, or a distro, to be found in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "shop_plugins.py").write_text(PLUGINS)
    for name in names:
        metadata = folder / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{REQUIRES.get(name, '')}"
        )
        (metadata / "entry_points.txt").write_text(ENTRY_POINTS[name])


def _run(
    receiver: OtlpReceiver, folder: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    scripts = Path(sys.executable).parent
    environment = telemetry_environment(receiver, folder, variables)
    return subprocess.run(
        [scripts / "ansflow-instrument", *arguments],
        env={**environment, "PATH": f"{scripts}:{environment['PATH']}"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def _of(diagnosis: dict[str, Any], name: str) -> dict[str, str]:
    (one,) = [one for one in diagnosis["instrumentations"] if one["name"] == name]
    return {key: one[key] for key in ("status", "owner", "reason")}


def test_a_healthy_installation_has_no_problems(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Exit status 0; who records is told, what is off and why, and what each endpoint answered."""
    finished = _run(receiver, tmp_path, "doctor", "--json")
    diagnosis = json.loads(finished.stdout)
    assert diagnosis["problems"] == []
    assert diagnosis["healthy"]
    assert (finished.returncode, finished.stderr) == (0, "")
    assert (diagnosis["distro"], diagnosis["configurator"]) == ("ansflow", "ansflow")
    assert _of(diagnosis, "fastapi") == {"status": "on", "owner": "ansflow", "reason": ""}
    assert _of(diagnosis, "click") == {
        "status": "off",
        "owner": "",
        "reason": "ANSFLOW_DISABLED_INSTRUMENTATIONS (the default)",
    }
    assert [(answer["signal"], answer["answer"]) for answer in diagnosis["endpoints"]] == [
        ("traces", "200"),
        ("metrics", "200"),
        ("logs", "200"),
    ]
    # What the doctor set up has sent nothing.
    assert receiver.resources() == []


def test_problems_are_told_one_by_one(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Exit status 1; what fails or does not fit, bad settings and dead endpoints are a sentence each."""
    _install(tmp_path, "shop_works", "shop_raises", "shop_absent", "shop_conflict")
    nowhere = f"http://127.0.0.1:{free_port()}"
    finished = _run(
        receiver,
        tmp_path,
        "doctor",
        variables={
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": nowhere,
            "OTEL_METRICS_EXPORTER": "none",
            "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
            "ANSFLOW_HTTP_INSTRUMENTATION": "contrib",
            "ANSFLOW_METRICS_BUCKETS": "a=b",
            "ANSFLOW_ENABLED_INSTRUMENTATION": "x",
        },
    )
    assert finished.returncode == 1
    lines = {" ".join(line.split()) for line in finished.stdout.splitlines()}
    assert {
        "on shop_works by shop_works 1.0",
        "FAILED shop_raises RuntimeError('broken plugin')",
        f"FAILED logs {nowhere} (http/protobuf): connection refused: nothing listens there",
        "ok metrics off",
        "- shop_raises is not instrumented: RuntimeError('broken plugin') (installed: nothing)",
        f"- logs would not arrive at {nowhere}: connection refused: nothing listens there",
        "- FASTAPI_OTEL_AUTO_CONFIGURE='true' is ignored: the distro exports already, and everything would "
        "be sent twice",
        "- ANSFLOW_METRICS_BUCKETS: 'a=b' is ignored; expected increasing numbers separated by commas, in "
        "the instrument's unit, or 'exponential'",
        "- ANSFLOW_ENABLED_INSTRUMENTATION is not a variable that anything reads; did you mean "
        "ANSFLOW_ENABLED_INSTRUMENTATIONS?",
        "6 problems.",
    } <= lines
    assert [
        line for line in lines if line.startswith("CONFLICT shop_conflict instruments fastapi<0.1 [fastapi ")
    ]
    assert [line for line in lines if line.startswith("on fastapi by opentelemetry-instrumentation-fastapi ")]
    assert not [line for line in lines if "shop_absent" in line]


def test_what_ours_stands_in_for_need_not_fit(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A version that contrib's instrumentation does not know is no conflict with ours, and no error."""
    _install(tmp_path, "shop_old")
    diagnosis = json.loads(_run(receiver, tmp_path, "doctor", "--json", "--offline").stdout)
    assert diagnosis["problems"] == []
    assert _of(diagnosis, "ansflow_aiomysql") == {"status": "on", "owner": "ansflow", "reason": ""}
    assert "aiomysql" not in _run(receiver, tmp_path, "run", "python", "-c", "").stderr


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        (None, "set OTEL_PYTHON_DISTRO=ansflow"),
        ("shop", "the distro 'shop' is used instead of this one: set OTEL_PYTHON_DISTRO=ansflow"),
    ],
)
def test_another_distro_is_a_problem(
    receiver: OtlpReceiver, tmp_path: Path, chosen: str | None, problem: str
) -> None:
    """Which of two distros wins is chance, unless it is chosen; the doctor says which it is here."""
    _install(tmp_path, "shop_distro")
    finished = _run(
        receiver,
        tmp_path,
        "doctor",
        "--json",
        "--offline",
        variables={"OTEL_PYTHON_DISTRO": chosen} if chosen else None,
    )
    assert finished.returncode == 1
    problems = json.loads(finished.stdout)["problems"]
    assert problems[0].endswith(problem)


def test_a_bad_configuration_file_is_a_problem(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The problem has the file's name and what is wrong with it; endpoints are not guessed."""
    (tmp_path / "telemetry.yaml").write_text("file_format: '9.0'")
    finished = _run(receiver, tmp_path, "doctor", "--json", variables={"OTEL_CONFIG_FILE": "telemetry.yaml"})
    diagnosis = json.loads(finished.stdout)
    assert len(diagnosis["problems"]) == 1
    assert "OTEL_CONFIG_FILE='telemetry.yaml'" in diagnosis["problems"][0]
    assert "Unsupported file_format '9.0'" in diagnosis["problems"][0]
    assert diagnosis["endpoints"] == []


def test_bad_values_are_told_once_each(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Also those with which OpenTelemetry's API cannot be imported, and those that a service warns of."""
    variables = {
        "OTEL_PROPAGATORS": "w3c",
        "ANSFLOW_HTTP_INSTRUMENTATION": "contib",
        "OTEL_PYTHON_HTTPX_EXCLUDED_URLS": "/a(",
    }
    finished = _run(receiver, tmp_path, "doctor", "--json", "--offline", variables=variables)
    assert (finished.returncode, finished.stderr) == (1, "")
    problems = json.loads(finished.stdout)["problems"]
    assert sorted(problem.replace("=", ":").partition(":")[0] for problem in problems) == [
        "ANSFLOW_HTTP_INSTRUMENTATION",
        "OTEL_PROPAGATORS",
        "OTEL_PYTHON_HTTPX_EXCLUDED_URLS",
    ]
    shown = _run(receiver, tmp_path, "env", variables=variables)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "yours    OTEL_PROPAGATORS=w3c" in shown.stdout.splitlines()


def test_run_takes_this_distro(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """`run` is `opentelemetry-instrument` with this distro, also where another one is installed."""
    _install(tmp_path, "shop_distro")
    program = "import logging; logging.error('seen')"
    finished = _run(receiver, tmp_path, "run", "python", "-c", program)
    assert (finished.returncode, finished.stdout) == (0, "")
    resource = receiver.resources()[-1]
    assert resource["telemetry.distro.name"] == "ansflow-instrumentation"
    missing = _run(receiver, tmp_path, "run", "no-such-program")
    assert missing.returncode == 127
    assert missing.stderr == "ansflow-instrument: 'no-such-program' is not a program on PATH\n"
