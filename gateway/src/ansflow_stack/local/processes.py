"""What the system consists of: one declaration a process, in the order in which they start."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansflow_stack.build.checkout import Checkout
from ansflow_stack.local import ports
from ansflow_stack.local.errors import StackError
from ansflow_stack.local.ports import HOST, Port
from ansflow_stack.local.rundir import RunDirectory

_LEAST_MEMORY_MIB = 64
"""An idle Collector needs half of it."""


@dataclass(frozen=True)
class Process:
    """A program of the system, and how to see that it is ready."""

    name: str
    command: tuple[str, ...]
    wave: int
    """A wave starts together, once all of the wave before is ready; waves stop the other way round."""
    listens: tuple[Port, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ready_url: str | None = None
    """Answers 2xx once the process can do its work; a process without one is ready when it runs."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """What a person may open, by what it shows."""
    prepare: tuple[str, ...] = ()
    """A command to run to its end before the start."""
    stop_signal: str = "TERM"


@dataclass(frozen=True)
class Selection:
    """Which optional parts run."""

    examples: bool = True
    traffic: bool = True

    def __post_init__(self) -> None:
        """Traffic has nowhere to go without the services."""
        if not self.examples:
            object.__setattr__(self, "traffic", False)


def declare(
    checkout: Checkout, run: RunDirectory, collector: Path, prometheus: Path, selection: Selection
) -> list[Process]:
    """Return the processes to run, by wave.

    Args:
        checkout: where the configuration is.
        run: where the processes keep their data.
        collector: the Collector's binary.
        prometheus: Prometheus' binary.
        selection: which optional parts run.

    Raises:
        StackError: a port's variable holds no port number.
    """
    at = {port: f"http://{HOST}:{port.number(os.environ)}" for port in ports.ALL}
    processes = [
        _collector(checkout, run, collector, at),
        _prometheus(run, prometheus, at),
        _gateway(at, run, selection),
    ]
    if selection.examples:
        processes += [_outside(at), _fastapi(run, at), _django(run, at)]
    if selection.traffic:
        processes.append(_traffic(at))
    return sorted(processes, key=lambda process: process.wave)


def inherited_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Make the environment that all processes start from: with the gateway's token as the services' too.

    By inheritance, as what a process is given by its command can be read in every list of processes.

    Args:
        env: the environment of whoever starts the system.

    Returns:
        It, with the variables by which event publishers are told the gateway's token, if they aren't yet.
    """
    twins = {
        "EVENT_SINK_TOKEN": "ANSFLOW_GATEWAY_TOKEN",
        "EVENT_SINK_TOKEN_FILE": "ANSFLOW_GATEWAY_TOKEN_FILE",
    }
    if any(env.get(theirs) for theirs in twins):
        return dict(env)
    return {**env, **{theirs: env[gateways] for theirs, gateways in twins.items() if env.get(gateways)}}


def _collector(checkout: Checkout, run: RunDirectory, binary: Path, at: Mapping[Port, str]) -> Process:
    layers = ("base.yaml", "signals-file.yaml", "published-names.yaml")
    configs = [
        part for layer in layers for part in ("--config", str(checkout.root / "collector-config" / layer))
    ]
    listens = (
        ports.OTLP_GRPC,
        ports.OTLP_HTTP,
        ports.COLLECTOR_METRICS,
        ports.COLLECTOR_TELEMETRY,
        ports.COLLECTOR_HEALTH,
    )
    return Process(
        name="collector",
        command=(str(binary), *configs),
        wave=1,
        listens=listens,
        env={
            "ANSFLOW_COLLECTOR_HOST": HOST,
            # The one service that is not the platform's, though it listens on loopback as the others do.
            "ANSFLOW_INTEGRATIONS": os.environ.get("ANSFLOW_INTEGRATIONS")
            or f"{at[ports.OUTSIDE].removeprefix('http://')}=artifact-registry",
            "ANSFLOW_DATA_DIR": str(run.data),
            **_memory_limit(os.environ),
            **{port.variable: str(port.number(os.environ)) for port in listens},
        },
        ready_url=f"{at[ports.COLLECTOR_HEALTH]}/",
        urls={"Metrics of everything": f"{at[ports.COLLECTOR_METRICS]}/metrics"},
    )


def _memory_limit(env: Mapping[str, str]) -> dict[str, str]:
    """Let Go's collector work harder before the memory limiter refuses data: at 80 % of its hard limit."""
    variable, default = "ANSFLOW_COLLECTOR_MEMORY_MIB", "512"
    text = env.get(variable) or default
    if not text.isascii() or not text.isdigit() or int(text) < _LEAST_MEMORY_MIB:
        raise StackError(f"{variable}={text!r}: expected a number of MiB, at least {_LEAST_MEMORY_MIB}")
    return {variable: text, "GOMEMLIMIT": f"{int(text) * 8 // 10}MiB"}


def _prometheus(run: RunDirectory, binary: Path, at: Mapping[Port, str]) -> Process:
    return Process(
        name="prometheus",
        command=(
            str(binary),
            f"--config.file={run.prometheus / 'prometheus.yml'}",
            f"--storage.tsdb.path={run.prometheus / 'data'}",
            "--storage.tsdb.retention.size=1GB",
            "--enable-feature=exemplar-storage",
            f"--web.listen-address={at[ports.PROMETHEUS].removeprefix('http://')}",
        ),
        wave=1,
        listens=(ports.PROMETHEUS,),
        ready_url=f"{at[ports.PROMETHEUS]}/-/ready",
        urls={"Prometheus": f"{at[ports.PROMETHEUS]}/api/v1/query?query=up"},
    )


def _gateway(at: Mapping[Port, str], run: RunDirectory, selection: Selection) -> Process:
    services = {"fastapi": ports.FASTAPI, "django": ports.DJANGO} if selection.examples else {}
    return Process(
        name="gateway",
        command=(_script("ansflow-gateway"), "serve"),
        wave=2,
        listens=(ports.GATEWAY,),
        env={
            "ANSFLOW_GATEWAY_HOST": HOST,
            "ANSFLOW_GATEWAY_PORT": str(ports.GATEWAY.number(os.environ)),
            "ANSFLOW_GATEWAY_STORE": str(run.data / "gateway.sqlite3"),
            "ANSFLOW_GATEWAY_SERVICES": ",".join(
                f"{name}={at[port]}/health/" for name, port in services.items()
            ),
            **_otel("ansflow-gateway", at),
        },
        ready_url=f"{at[ports.GATEWAY]}/health/ready",
        urls={
            "Gateway: status page": f"{at[ports.GATEWAY]}/",
            "Gateway: health": f"{at[ports.GATEWAY]}/health/",
            "Gateway: its own metrics": f"{at[ports.GATEWAY]}/metrics",
        },
    )


def _outside(at: Mapping[Port, str]) -> Process:
    return Process(
        name="outside",
        command=(sys.executable, "-m", "outside_service", "--port", str(ports.OUTSIDE.number(os.environ))),
        wave=3,
        listens=(ports.OUTSIDE,),
        ready_url=f"{at[ports.OUTSIDE]}/v1/status",
    )


def _fastapi(run: RunDirectory, at: Mapping[Port, str]) -> Process:
    port = str(ports.FASTAPI.number(os.environ))
    serve = (_script("uvicorn"), "fastapi_service.main:app", "--host", HOST, "--port", port)
    return Process(
        name="fastapi",
        command=(_script("opentelemetry-instrument"), *serve),
        wave=3,
        listens=(ports.FASTAPI,),
        env=_service("ansflow-fastapi", run, at),
        ready_url=f"{at[ports.FASTAPI]}/health/ready",
        urls={
            "FastAPI service: API": f"{at[ports.FASTAPI]}/docs",
            "FastAPI service: health": f"{at[ports.FASTAPI]}/health/",
        },
    )


def _django(run: RunDirectory, at: Mapping[Port, str]) -> Process:
    bind = f"{HOST}:{ports.DJANGO.number(os.environ)}"
    # Not --config: opentelemetry-instrument takes that for an option of its own.
    settings = ("-c", "python:django_service.gunicorn_settings")
    serve = (_script("gunicorn"), *settings, "--workers", "2", "--bind", bind)
    return Process(
        name="django",
        command=(_script("opentelemetry-instrument"), *serve),
        wave=3,
        listens=(ports.DJANGO,),
        env={"DJANGO_SETTINGS_MODULE": "django_service.settings", **_service("ansflow-django", run, at)},
        ready_url=f"{at[ports.DJANGO]}/health/ready",
        urls={"Django service: health": f"{at[ports.DJANGO]}/health/"},
        prepare=(sys.executable, "-m", "django_service", "migrate"),
    )


def _traffic(at: Mapping[Port, str]) -> Process:
    targets = ("--fastapi-url", at[ports.FASTAPI], "--django-url", at[ports.DJANGO])
    return Process(name="traffic", command=(sys.executable, "-m", "traffic", *targets), wave=4)


def _service(name: str, run: RunDirectory, at: Mapping[Port, str]) -> dict[str, str]:
    return {
        "DATA_DIR": str(run.data),
        "FASTAPI_SERVICE_URL": at[ports.FASTAPI],
        "DJANGO_SERVICE_URL": at[ports.DJANGO],
        "OUTSIDE_SERVICE_URL": at[ports.OUTSIDE],
        "EVENT_SINK_URL": f"{at[ports.GATEWAY]}/v1/events",
        **_otel(name, at),
    }


def _otel(name: str, at: Mapping[Port, str]) -> dict[str, str]:
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES") or (
        "service.namespace=ansflow,deployment.environment.name=local"
    )
    return {
        "OTEL_SERVICE_NAME": name,
        "OTEL_RESOURCE_ATTRIBUTES": attributes,
        "OTEL_EXPORTER_OTLP_ENDPOINT": at[ports.OTLP_HTTP],
        # A look at one's own machine should not wait a minute for the first point.
        "OTEL_METRIC_EXPORT_INTERVAL": os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") or "5000",
    }


def _script(name: str) -> str:
    """Return the path of a console script of this interpreter's environment, whether or not it is on PATH."""
    return str(Path(sys.executable).parent / name)
