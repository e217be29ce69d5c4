"""A system that `ansflow up` started, as the end-to-end tests see it."""

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from ansflow_stack.local import ports
from ansflow_stack.local.ports import HOST, Port

from support.programs import free_ports
from support.prometheus_api import PrometheusApi

GITLAB_TOKEN = "token-of-the-tests-hook"
"""What GitLab's webhooks show to the gateway."""


@dataclass(frozen=True)
class Installation:
    """Ports and a run directory of their own, where a system can be started."""

    numbers: dict[Port, int]
    run_directory: Path

    @classmethod
    def on_free_ports(cls, run_directory: Path) -> "Installation":
        """Return one whose ports were free a moment ago."""
        return cls(dict(zip(ports.ALL, free_ports(len(ports.ALL)), strict=True)), run_directory)

    @property
    def env(self) -> dict[str, str]:
        """The environment of its commands, without telemetry settings of the machine's own."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            # Where the built binaries are is not the system's setting.
            if not name.startswith(("OTEL_", "ANSFLOW_")) or name == "ANSFLOW_CACHE_DIR"
        }
        return {
            **inherited,
            **{port.variable: str(number) for port, number in self.numbers.items()},
            "ANSFLOW_RUN_DIR": str(self.run_directory),
            "ANSFLOW_GATEWAY_GITLAB_TOKEN": GITLAB_TOKEN,
            # Short intervals: a test waits for one export and one scrape, whatever they are.
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "OTEL_BLRP_SCHEDULE_DELAY": "500",
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of an `ansflow` command."""
        return [sys.executable, "-m", "ansflow_stack", *arguments]

    def ansflow(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run an `ansflow` command to its end; its output is in ``stdout``."""
        return subprocess.run(
            self.command(*arguments),
            env=self.env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def url(self, port: Port, path: str = "") -> str:
        """Return the address of a part."""
        return f"http://{HOST}:{self.numbers[port]}{path}"


@dataclass(frozen=True)
class RunningSystem:
    """A running system and its Prometheus."""

    installation: Installation
    prometheus: PrometheusApi

    def url(self, port: Port, path: str = "") -> str:
        """Return the address of a part."""
        return self.installation.url(port, path)

    def scrape(self) -> str:
        """Return what the Collector's Prometheus endpoint serves, in Prometheus' text format."""
        url = self.url(ports.COLLECTOR_METRICS, "/metrics")
        return httpx.get(url, trust_env=False).raise_for_status().text

    def send_events(self, content: object, *, batch: bool = False) -> httpx.Response:
        """Post one CloudEvent, or a list of them as a batch, to the gateway."""
        kind = "cloudevents-batch" if batch else "cloudevents"
        return httpx.post(
            self.url(ports.GATEWAY, "/v1/events"),
            content=json.dumps(content),
            headers={"Content-Type": f"application/{kind}+json"},
            trust_env=False,
        )

    def send_gitlab_job(self, body: object) -> httpx.Response:
        """Post a Job Hook of GitLab to the gateway."""
        return httpx.post(
            self.url(ports.GATEWAY, "/webhooks/gitlab"),
            json=body,
            headers={
                "X-Gitlab-Event": "Job Hook",
                "X-Gitlab-Event-UUID": str(uuid.uuid4()),
                "X-Gitlab-Token": GITLAB_TOKEN,
            },
            trust_env=False,
        )

    def spans(self) -> list["Span"]:
        """Return all spans that the Collector's file exporter wrote."""
        return [
            Span(_attributes(resource["resource"]).get("service.name", ""), span)
            for line in self._lines("traces")
            for resource in line["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def log_records(self) -> list["LogRecord"]:
        """Return all log records that the Collector's file exporter wrote."""
        return [
            LogRecord(_attributes(resource["resource"]).get("service.name", ""), record)
            for line in self._lines("logs")
            for resource in line["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]

    def _lines(self, signal: str) -> list[dict[str, Any]]:
        file = self.installation.run_directory / "data" / f"{signal}.jsonl"
        if not file.exists():
            return []
        # The last line may be half written.
        return [json.loads(line) for line in file.read_text().split("\n")[:-1]]


@dataclass(frozen=True)
class Span:
    """A span in OTLP's JSON encoding."""

    service: str
    fields: dict[str, Any]

    @property
    def is_server(self) -> bool:
        """Whether its kind is SERVER."""
        return bool(self.fields["kind"] == 2)

    @property
    def is_client(self) -> bool:
        """Whether its kind is CLIENT."""
        return bool(self.fields["kind"] == 3)

    @property
    def is_websocket(self) -> bool:
        """Whether it is of a WebSocket's connection."""
        return self.attributes.get("network.protocol.name") == "websocket"

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.fields["name"])

    @property
    def trace_id(self) -> str:
        """The trace, in hexadecimal digits."""
        return str(self.fields["traceId"])

    @property
    def span_id(self) -> str:
        """The span, in hexadecimal digits."""
        return str(self.fields["spanId"])

    @property
    def parent_id(self) -> str:
        """The parent span; empty for a root."""
        return str(self.fields.get("parentSpanId", ""))

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes, in their text form."""
        return _attributes(self.fields)


@dataclass(frozen=True)
class LogRecord:
    """A log record in OTLP's JSON encoding."""

    service: str
    fields: dict[str, Any]

    @property
    def trace_id(self) -> str:
        """The trace in which it was written; empty if none."""
        return str(self.fields.get("traceId", ""))


def _attributes(holder: dict[str, Any]) -> dict[str, str]:
    return {pair["key"]: str(next(iter(pair["value"].values()), "")) for pair in holder.get("attributes", ())}
