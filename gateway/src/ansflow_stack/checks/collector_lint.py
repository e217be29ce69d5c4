"""Finds in a Collector configuration what ``otelcol validate`` lets pass.

``python -m ansflow_stack.checks.collector_lint FILE…`` takes the files in the Collector's order, merges them,
and prints a line a finding; it exits with 1 if there is one, with 2 if a file can't be read.
"""

import ipaddress
import re
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from ansflow_stack.checks.collector_config import (
    Config,
    ConfigError,
    component_type,
    is_map,
    load,
    submap,
    variables,
    walk,
    with_defaults,
)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong in a configuration."""

    rule: str
    where: str
    """The path in the merged configuration, joined with dots."""
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.rule}]"


@dataclass(frozen=True)
class _Listener:
    where: str
    host: str
    port: str


_DEPRECATED_TYPES = {
    ("exporters", "otlp"): "otlp_grpc",
    ("exporters", "otlphttp"): "otlp_http",
    ("exporters", "prometheusremotewrite"): "prometheus_remote_write",
    ("connectors", "spanmetrics"): "span_metrics",
    ("processors", "metricstransform"): "metrics_transform",
    ("processors", "deltatocumulative"): "delta_to_cumulative",
}
"""Aliases that v0.161.0 takes with a warning, and the names that it wants."""

_DEPRECATED_KEYS = {
    ("exporters", "prometheus", "add_metric_suffixes"): "translation_strategy",
    ("exporters", "prometheus", "resource_to_telemetry_conversion"): "resource_constant_labels",
    ("connectors", "span_metrics", "dimensions_cache_size"): "aggregation_cardinality_limit",
}
"""Settings that v0.161.0 still reads, and their successors."""

_ENDPOINT_DEFAULTS = {
    ("exporters", "prometheus"): None,
    ("extensions", "health_check"): "localhost:13133",
    ("extensions", "pprof"): "localhost:1777",
    ("extensions", "zpages"): "localhost:55679",
}
"""Components that listen on their ``endpoint``, with its default."""

_REFERENCES = (
    (re.compile(r"\.auth\.authenticator$"), "authenticator"),
    (re.compile(r"\.sending_queue\.storage$"), "storage extension"),
    (
        re.compile(r"^(?:receivers|processors|exporters|connectors|extensions)\.[^.]+\.storage$"),
        "storage extension",
    ),
)
"""Where a setting names an extension, and what for."""

_OTLP_DEFAULTS = {"grpc": "localhost:4317", "http": "localhost:4318"}


def lint(config: Config, provided: Collection[str] = ()) -> list[Finding]:
    """Return what is wrong in a merged configuration, in a stable order.

    Args:
        config: the merged configuration.
        provided: environment variables that are set whenever this configuration is run.
    """
    findings = [finding for rule in _RULES for finding in rule(config)]
    return findings + list(_unset_variables(config, provided))


def _extension_references(config: Config) -> Iterator[Finding]:
    defined = submap(config, "extensions")
    enabled = _enabled_extensions(config)
    for where, what, name in _references(config):
        rule = where.rpartition(".")[2]
        if name not in defined:
            yield Finding(f"undefined-{rule}", where, f"{what} {name!r} is not defined in extensions")
        elif name not in enabled:
            message = f"{what} {name!r} is defined, but not in service.extensions"
            yield Finding(f"disabled-{rule}", where, message)


def _idle_extensions(config: Config) -> Iterator[Finding]:
    # What a setting refers to is found there, with its consequence.
    spoken_of = {*_enabled_extensions(config), *(name for _, _, name in _references(config))}
    for name in submap(config, "extensions"):
        if name not in spoken_of:
            yield Finding(
                "idle-extension", f"extensions.{name}", "never runs: it is not in service.extensions"
            )


def _references(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield (path, what for, extension) of each setting that names an extension."""
    for where, _, value in walk(config):
        for pattern, what in _REFERENCES:
            if isinstance(value, str) and pattern.search(where):
                yield where, what, value


def _memory_limiters(config: Config) -> Iterator[Finding]:
    connectors = submap(config, "connectors")
    for name, pipeline in submap(config, "service", "pipelines").items():
        if not is_map(pipeline):
            continue
        if all(receiver in connectors for receiver in pipeline.get("receivers") or []):
            continue  # What another pipeline feeds was limited there.
        where = f"service.pipelines.{name}.processors"
        types = [component_type(processor) for processor in pipeline.get("processors") or []]
        if "memory_limiter" not in types:
            yield Finding("memory-limiter-missing", where, "expected memory_limiter first, found none")
        elif types[0] != "memory_limiter":
            yield Finding(
                "memory-limiter-not-first", where, f"expected memory_limiter first, found {types[0]}"
            )


def _port_clashes(config: Config) -> Iterator[Finding]:
    seen: list[_Listener] = []
    for listener in _listeners(config):
        for other in seen:
            same_host = listener.host == other.host or _is_any(listener.host) or _is_any(other.host)
            if listener.port == other.port and same_host:
                yield Finding(
                    "port-clash", listener.where, f"port {listener.port} is taken by {other.where} already"
                )
                break
        seen.append(listener)


def _beyond_loopback(config: Config) -> Iterator[Finding]:
    for listener in _listeners(config):
        if not _is_loopback(listener.host):
            yield Finding(
                "beyond-loopback",
                listener.where,
                f"listens on {listener.host or 'every address'} unless told otherwise; expected 127.0.0.1",
            )


def _deprecated_names(config: Config) -> Iterator[Finding]:
    for kind in ("receivers", "processors", "exporters", "connectors", "extensions"):
        for name, settings in submap(config, kind).items():
            of_type = component_type(name)
            if successor := _DEPRECATED_TYPES.get((kind, of_type)):
                yield Finding(
                    "deprecated-name", f"{kind}.{name}", f"{of_type!r} is deprecated; expected {successor!r}"
                )
            for key in settings if is_map(settings) else ():
                if replacement := _DEPRECATED_KEYS.get((kind, of_type, key)):
                    yield Finding(
                        "deprecated-setting",
                        f"{kind}.{name}.{key}",
                        f"{key!r} is deprecated; expected {replacement!r}",
                    )


def _unset_variables(config: Config, provided: Collection[str]) -> Iterator[Finding]:
    for where, _, value in walk(config):
        for variable in variables(value) if isinstance(value, str) else ():
            if variable.default is None and variable.name not in provided:
                yield Finding(
                    "unset-variable",
                    where,
                    f"variable {variable.name} has no default; expected ${{env:{variable.name}:-…}}",
                )


_RULES: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    _extension_references,
    _idle_extensions,
    _memory_limiters,
    _port_clashes,
    _beyond_loopback,
    _deprecated_names,
)


def _enabled_extensions(config: Config) -> list[str]:
    enabled = submap(config, "service").get("extensions")
    return enabled if isinstance(enabled, list) else []


def _listeners(config: Config) -> Iterator[_Listener]:
    """Yield what is listened on with no environment variable set, by the components that run."""
    pipelines = [pipeline for pipeline in submap(config, "service", "pipelines").values() if is_map(pipeline)]
    running = {
        "receivers": {name for pipeline in pipelines for name in pipeline.get("receivers") or []},
        "exporters": {name for pipeline in pipelines for name in pipeline.get("exporters") or []},
        "extensions": set(_enabled_extensions(config)),
    }
    for kind, names in running.items():
        for name, settings in submap(config, kind).items():
            if name not in names:
                continue
            if (kind, component_type(name)) == ("receivers", "otlp"):
                for protocol in submap(config, kind, name, "protocols"):
                    endpoint = submap(config, kind, name, "protocols", protocol).get("endpoint")
                    where = f"{kind}.{name}.protocols.{protocol}.endpoint"
                    yield from _at(where, endpoint or _OTLP_DEFAULTS.get(protocol))
            elif (kind, component_type(name)) in _ENDPOINT_DEFAULTS:
                default = _ENDPOINT_DEFAULTS[kind, component_type(name)]
                endpoint = settings.get("endpoint") if is_map(settings) else None
                yield from _at(f"{kind}.{name}.endpoint", endpoint or default)
    yield from _telemetry_listeners(config)


def _telemetry_listeners(config: Config) -> Iterator[_Listener]:
    metrics = submap(config, "service", "telemetry", "metrics")
    if metrics.get("level") == "none":
        return
    where = "service.telemetry.metrics.readers"
    if not isinstance(metrics.get("readers"), list):
        yield from _at(where, "localhost:8888")
        return
    for index, reader in enumerate(metrics["readers"]):
        pull = submap(reader, "pull", "exporter") if is_map(reader) else {}
        if "prometheus" in pull:
            server = submap(pull, "prometheus")
            host, port = server.get("host", "localhost"), server.get("port", 8888)
            yield from _at(f"{where}.{index}.pull.exporter.prometheus", f"{host}:{port}")


def _at(where: str, endpoint: object) -> Iterator[_Listener]:
    if isinstance(endpoint, str):
        host, _, port = with_defaults(endpoint).rpartition(":")
        yield _Listener(where, host.strip("[]"), port)


def _is_any(host: str) -> bool:
    return host in {"", "0.0.0.0", "::"}  # noqa: S104 - looked for, not bound


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--provided", multiple=True, metavar="NAME", help="A variable that is always set at run time.")
def main(files: tuple[Path, ...], provided: tuple[str, ...]) -> None:
    """Check one combination of Collector configuration FILES, in the Collector's order."""
    try:
        findings = lint(load(files), provided)
    except ConfigError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    for finding in findings:
        click.echo(str(finding))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
