"""One run of a cell: known requests to a real server, a WebSocket or more, SIGTERM; and what arrived."""

import os
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.instrumented_service import Service, starting_services
from support.otlp_receiver import OtlpReceiver, attributes_of
from websockets.sync.client import connect

from matrix.cells import Cell
from matrix.environments import NoPythonError, UnavailableError, prepare

__all__ = ["CONNECTIONS", "MESSAGES", "ROOM", "Run", "Sent", "run_cell", "sums"]

APPLICATIONS = Path(__file__).parent / "applications"

ONLY_AT_THE_END = {"OTEL_METRIC_EXPORT_INTERVAL": "600000", "OTEL_BSP_SCHEDULE_DELAY": "600000"}
"""Nothing is exported before the server stops: what arrives was flushed at SIGTERM."""

CONNECTIONS = 4
"""WebSocket connections that a client makes, one after the other."""

MESSAGES = 3
"""Messages that it sends on each, every one of which is returned."""

ROOM = "/rooms/blue"


@dataclass(frozen=True)
class Sent:
    """Requests of one kind.

    Attributes:
        path: What is requested.
        times: How often.
        status: What is answered.
        route: What the requests have to be recorded under; "" where no route takes them.
        recorded: Whether they are recorded at all.
        host: The Host header, where it is not the server's.
    """

    path: str
    times: int
    status: int
    route: str = ""
    recorded: bool = True
    host: str | None = None


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        cell: What was run.
        received: What the server's processes exported.
        output: What they wrote.
    """

    cell: Cell
    received: OtlpReceiver
    output: str

    def counted(self) -> Counter[tuple[str, int]]:
        """Count the durations, by route and status, over all processes and scopes."""
        counted: Counter[tuple[str, int]] = Counter()
        for duration in self.received.durations():
            key = duration.attributes.get("http.route", ""), _status(duration.attributes)
            counted[key] += duration.point.count
        return counted

    def traced(self) -> Counter[tuple[str, int]]:
        """Count the SERVER spans of requests, by route and status."""
        return Counter(
            (attributes.get("http.route", ""), _status(attributes))
            for span in self.received.spans()
            if span.kind == Span.SPAN_KIND_SERVER
            and "ansflow.websocket.messages.sent" not in (attributes := attributes_of(list(span.attributes)))
        )


def run_cell(cell: Cell, sent: Sequence[Sent], directory: Path) -> Run:
    """Run a cell.

    Args:
        cell: Which one; skips where its environment cannot be had.
        sent: The requests.
        directory: Where the server runs.

    Returns:
        The run, with everything that was exported.
    """
    try:
        scripts = prepare(cell.environment)
    except NoPythonError as error:
        pytest.skip(str(error))
    except UnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    variables = {**ONLY_AT_THE_END, "DJANGO_SETTINGS_MODULE": "matrix_django.settings"}
    with OtlpReceiver() as receiver, starting_services(receiver, APPLICATIONS, directory) as start:
        service = start(*cell.server.command, variables=variables, bin_dir=scripts)
        _send(service, sent)
        if cell.server.websockets:
            _talk(service)
        return Run(cell, receiver, service.stop(signal.SIGTERM))


def sums(received: OtlpReceiver, name: str) -> dict[tuple[tuple[str, str], ...], int]:
    """Add up the newest points of a sum over all processes.

    Args:
        received: What was exported.
        name: The instrument's.

    Returns:
        Values by sorted attributes.
    """
    newest: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for request in received.metrics:
        for group in request.resource_metrics:
            instance = attributes_of(list(group.resource.attributes))["service.instance.id"]
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    if metric.name != name:
                        continue
                    for point in metric.sum.data_points:
                        attributes = tuple(sorted(attributes_of(list(point.attributes)).items()))
                        newest[instance, attributes] = point.as_int
    totals: Counter[tuple[tuple[str, str], ...]] = Counter()
    for (_, attributes), value in newest.items():
        totals[attributes] += value
    return dict(totals)


def _send(service: Service, sent: Sequence[Sent]) -> None:
    requests = [kind for kind in sent for _ in range(kind.times)]

    def request(kind: Sent) -> int:
        headers = {} if kind.host is None else {"host": kind.host}
        return service.get(kind.path, headers=headers).status

    with ThreadPoolExecutor(8) as senders:
        assert [*senders.map(request, requests)] == [kind.status for kind in requests]


def _talk(service: Service) -> None:
    for _ in range(CONNECTIONS):
        with connect(service.url.replace("http", "ws") + ROOM) as websocket:
            for number in range(MESSAGES):
                websocket.send(str(number))
                assert websocket.recv() == str(number)


def _status(attributes: Mapping[str, str]) -> int:
    return int(attributes["http.response.status_code"])
