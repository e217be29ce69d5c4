"""Everything the doctor finds, as data."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ansflow_instrumentation.configuration.file import CONFIG_FILE_VARIABLE, load_config_file
from ansflow_instrumentation.configuration.kinds import PROPAGATORS_VARIABLE, unknown_propagator
from ansflow_instrumentation.doctor.endpoints import Answer, ask, endpoints_of
from ansflow_instrumentation.doctor.settings import (
    effective_environment,
    effective_settings,
    find_problems,
    hidden,
    notes_of,
)
from ansflow_instrumentation.version import __version__

__all__ = ["Diagnosis", "diagnose"]

PROBE_TIMEOUT_S = 120.0
"""For importing all that is instrumented, on a slow machine."""


@dataclass(frozen=True)
class Diagnosis:
    """What telemetry would be here.

    Attributes:
        versions: Of this distro, the SDK, Python.
        distro: Name of the distro that `opentelemetry-instrument` would take.
        configurator: Likewise of the configurator.
        instrumentations: What became of each, as `probe.Instrumentation`.
        endpoints: What each endpoint answered; none where they were not asked.
        problems: What is to be mended, a sentence each.
        notes: What is worth knowing.
    """

    versions: Mapping[str, str]
    distro: str
    configurator: str
    instrumentations: list[dict[str, str]]
    endpoints: list[Answer]
    problems: list[str]
    notes: list[str]

    @property
    def healthy(self) -> bool:
        """Whether there is nothing to be mended."""
        return not self.problems

    def as_json(self) -> str:
        """Write all of it for programs."""
        endpoints = [
            {
                "signal": answer.endpoint.signal,
                "url": hidden("", answer.endpoint.url),
                "protocol": answer.endpoint.protocol,
                "ok": answer.ok,
                "answer": answer.text,
                "latency_ms": answer.latency_ms,
            }
            for answer in self.endpoints
        ]
        return json.dumps({"healthy": self.healthy, **asdict(self), "endpoints": endpoints}, indent=2)


def diagnose(env: Mapping[str, str], *, ask_endpoints: bool = True) -> Diagnosis:
    """Look at everything, without starting an application.

    Args:
        env: The user's environment.
        ask_endpoints: Whether to send each endpoint an empty request.

    Returns:
        What was found.
    """
    completed = effective_environment(env)
    found = _probe(env)
    installed = [one["name"] for one in found["instrumentations"] if one["status"] != "missing"]
    config = _config_of(completed)
    # What a file that cannot be read would have sent, nobody knows.
    is_known = config is not None or not completed.get(CONFIG_FILE_VARIABLE)
    is_disabled = completed.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    endpoints = list(endpoints_of(completed, config)) if is_known and not is_disabled else []
    with ThreadPoolExecutor(max(1, len(endpoints))) as askers:
        answers = list(askers.map(ask, endpoints)) if ask_endpoints else []
    instrumentations = found["instrumentations"]
    origins = {setting.name: setting.origin for setting in effective_settings(env)}
    for one in instrumentations:
        if origins.get(one["reason"]) in ("default", "file"):
            one["reason"] += f" (the {origins[one['reason']]})"
    problems = [
        *_distro_problems(found, env),
        *found["warnings"],
        *_untold(find_problems(env, installed), found["warnings"]),
        *(
            f"{one['name']} is not instrumented: {one['reason']} (installed: {one['libraries'] or 'nothing'})"
            for one in instrumentations
            if one["status"] in ("conflict", "failed")
        ),
        *(
            f"{answer.endpoint.signal} would not arrive at {hidden('', answer.endpoint.url)}: {answer.text}"
            for answer in answers
            if not answer.ok
        ),
    ]
    return Diagnosis(
        {
            "ansflow-instrumentation": __version__,
            "opentelemetry-sdk": metadata.version("opentelemetry-sdk"),
            "python": platform.python_version(),
        },
        found["distro"],
        found["configurator"],
        instrumentations,
        answers,
        list(dict.fromkeys(problems)),
        [*notes_of(completed, config), *_native_fastapi(instrumentations)],
    )


def _config_of(env: Mapping[str, str]) -> Any | None:
    path = env.get(CONFIG_FILE_VARIABLE, "")
    try:
        return load_config_file(path) if path else None
    except Exception:  # noqa: BLE001 # the probe tells what is wrong with it
        return None


def _probe(env: Mapping[str, str]) -> dict[str, Any]:
    """Set telemetry up in another process, as an application would have it."""
    environment = dict(env)
    if unknown_propagator(env):
        # One of the problems already: OpenTelemetry's API cannot be imported with it.
        del environment[PROPAGATORS_VARIABLE]
    # No worker, and none that leaves anything to a successor.
    environment["ANSFLOW_STATE_DIR"] = ""
    # Under opentelemetry-instrument, Python would set telemetry up a first time before the probe does.
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join(p for p in paths if not p.endswith("auto_instrumentation"))
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "probe.json"
        command = [sys.executable, "-m", "ansflow_instrumentation.doctor.probe", str(result)]
        try:
            finished = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PROBE_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _nothing(f"Setting telemetry up takes more than {PROBE_TIMEOUT_S:g} s")
        if not result.exists():
            last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
            return _nothing(f"Setting telemetry up ends Python (status {finished.returncode}): {last}")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


def _untold(problems: Iterable[str], warnings: Sequence[str]) -> Iterator[str]:
    """Leave out what a warning says already: both begin with the variable and its value."""
    for problem in problems:
        setting = problem.partition(":")[0]
        if "=" not in setting or not any(warning.startswith(setting) for warning in warnings):
            yield problem


def _nothing(problem: str) -> dict[str, Any]:
    return {
        "distro": "unknown",
        "distros": [],
        "configurator": "unknown",
        "instrumentations": [],
        "warnings": [problem],
    }


def _distro_problems(found: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[str]:
    others = [name for name in found["distros"] if name != "ansflow"]
    if found["distro"] == "ansflow":
        if others and not env.get("OTEL_PYTHON_DISTRO"):
            yield (
                f"more than one distro is installed ({', '.join(sorted(found['distros']))}), and which one "
                "wins is chance: set OTEL_PYTHON_DISTRO=ansflow"
            )
        if found["configurator"] != "ansflow":
            yield f"OTEL_PYTHON_CONFIGURATOR={found['configurator']!r} sets the SDK up instead of 'ansflow'"
    elif found["distro"] != "unknown":
        yield f"the distro {found['distro']!r} is used instead of this one: set OTEL_PYTHON_DISTRO=ansflow"


def _native_fastapi(instrumentations: list[dict[str, str]]) -> Iterator[str]:
    """FastAPI from 0.142 on records its requests itself, where nobody else does."""
    try:
        release = metadata.version("fastapi").split(".")
    except metadata.PackageNotFoundError:
        return
    fastapi = next((one for one in instrumentations if one["name"] == "fastapi"), None)
    if (fastapi is None or fastapi["status"] != "on") and tuple(map(int, release[:2])) >= (0, 142):
        yield "FastAPI records its requests itself, health checks included: its instrumentation is not on"
