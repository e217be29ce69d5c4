"""A running Collector, and what it serves and writes."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample

from support.programs import ROOT, find_binary, free_ports, get, running

CONFIG = ROOT / "collector-config"

_OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0; charset=utf-8"}


@dataclass(frozen=True)
class Exposition:
    """What one scrape of the Collector's endpoint gave."""

    families: dict[str, str]
    """The type of each metric family, by its name in OpenMetrics (a counter's without _total)."""
    samples: list[Sample]

    @classmethod
    def parse(cls, text: str) -> "Exposition":
        """Read OpenMetrics strictly; a family or a label out of order is an error."""
        families: list[Metric] = list(
            openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call] # has no types
        )
        return cls(
            {family.name: family.type for family in families},
            [sample for family in families for sample in family.samples],
        )

    def of(self, name: str, **labels: str) -> list[Sample]:
        """Return the samples of a name that have these labels."""
        return [
            sample
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def sums(self, name: str, by: Sequence[str], **labels: str) -> dict[tuple[str, ...], float]:
        """Return the samples' values, added up by some of their labels."""
        sums: dict[tuple[str, ...], float] = {}
        for sample in self.of(name, **labels):
            key = tuple(sample.labels.get(label, "<absent>") for label in by)
            sums[key] = sums.get(key, 0.0) + sample.value
        return sums


@dataclass(frozen=True)
class Collector:
    """A running Collector."""

    otlp_grpc: int
    otlp_http: int
    metrics: int
    telemetry: int
    health: int
    data: Path

    @property
    def endpoint(self) -> str:
        """Where OTLP over HTTP is taken."""
        return f"http://127.0.0.1:{self.otlp_http}"

    def scrape(self) -> Exposition:
        """Return what is served now."""
        return Exposition.parse(get(f"http://127.0.0.1:{self.metrics}/metrics", _OPEN_METRICS))

    def lines(self, signal_name: str) -> list[dict[str, Any]]:
        """Return what the file exporter wrote of ``traces`` or ``logs``; nothing, if it has not yet."""
        file = self.data / f"{signal_name}.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text().splitlines()]


@contextlib.contextmanager
def run_collector(
    overlays: Sequence[str], folder: Path, extra_env: Mapping[str, str] | None = None
) -> Iterator[Collector]:
    """Run the Collector with the committed base and some overlays, on free ports."""
    binary = find_binary("ansflow-otelcol", "ANSFLOW_OTELCOL")
    otlp_grpc, otlp_http, metrics, telemetry, health = free_ports(5)
    collector = Collector(otlp_grpc, otlp_http, metrics, telemetry, health, folder / "data")
    env = {
        "ANSFLOW_OTLP_GRPC_PORT": str(collector.otlp_grpc),
        "ANSFLOW_OTLP_HTTP_PORT": str(collector.otlp_http),
        "ANSFLOW_COLLECTOR_METRICS_PORT": str(collector.metrics),
        "ANSFLOW_COLLECTOR_TELEMETRY_PORT": str(collector.telemetry),
        "ANSFLOW_COLLECTOR_HEALTH_PORT": str(collector.health),
        "ANSFLOW_DATA_DIR": str(collector.data),
        **(extra_env or {}),
    }
    files = [str(CONFIG / f"{name}.yaml") for name in ("base", *overlays)]
    command = [str(binary), *(part for file in files for part in ("--config", file))]
    with running(command, env, folder / "collector.log", f"http://127.0.0.1:{collector.health}/"):
        yield collector
