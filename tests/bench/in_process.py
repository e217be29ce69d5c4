"""Measures applications that are called without a server: one process a set-up, interleaved."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .effort import Effort
from .environment import ROOT, environment, state_folder
from .progress import report
from .results import Delivery, Measure, Part, Result
from .setups import Framework, Setup
from .sink import Sink
from .workloads import Workload

__all__ = ["measure", "profile"]

EXPORT_INTERVAL_S = 600
"""Exports come when they are asked for, after each block, and not in between."""


@dataclass
class Contender:
    """A running worker and what it measured.

    Attributes:
        setup: What it runs.
        worker: The process.
        sink: Where it exports to.
        sent: Requests answered.
        process_s: CPU seconds of the process at the end of the last block.
        costs: By workload.
    """

    setup: Setup
    worker: "subprocess.Popen[str]"
    sink: Sink
    sent: int = 0
    process_s: float = 0.0
    costs: dict[Workload, dict[Measure, list[float]]] = field(default_factory=dict)

    def ask(self, command: str) -> dict[str, Any]:
        """Have the worker carry out a command; see `worker.py`."""
        if self.worker.stdin is None or self.worker.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self.worker.stdin.write(command + "\n")
        self.worker.stdin.flush()
        line = self.worker.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker of {self.setup.name} ended with {self.worker.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run_batch(self, workload: Workload, requests: int) -> None:
        """Have the application answer so many requests."""
        pattern = "spread" if workload.spread else "last"
        answer = self.ask(f"serve {pattern} {requests}")
        self.sent += requests
        self._costs(workload)[Measure.REQUEST_PATH].append(answer["thread_s"] / requests * 1e6)

    def end_block(self, workload: Workload, requests: int) -> None:
        """Have what was recorded exported, and note what the block has cost in all."""
        process_s = self.ask("export")["process_s"]
        self._costs(workload)[Measure.PROCESS].append((process_s - self.process_s) / requests * 1e6)
        self.process_s = process_s

    def delivery(self) -> Delivery:
        """Count what has arrived."""
        own = self.ask("counted")["requests"]
        return Delivery(self.sent, self.sink.spans(), self.sink.requests_counted() if own is None else own)

    def forget(self) -> None:
        """Leave the warm-up out of the costs."""
        self.costs.clear()

    def _costs(self, workload: Workload) -> dict[Measure, list[float]]:
        return self.costs.setdefault(workload, {measure: [] for measure in Measure})


def measure(framework: Framework, setups: Sequence[Setup], effort: Effort) -> Part:
    """Measure a framework's set-ups.

    Args:
        framework: What they instrument.
        setups: The bare application first.
        effort: How much.

    Returns:
        The part of the report.
    """
    results: list[Result] = []
    for routes, workloads in effort.by_routes().items():
        results += _measure(setups, routes, workloads, effort)
    title = {Framework.FASTAPI: "FastAPI (ASGI), in process", Framework.DJANGO: "Django (WSGI), in process"}
    return Part(framework.value, title[framework], results)


def profile(setup: Setup, requests: int) -> str:
    """Profile the serving thread of a set-up, with one route.

    Args:
        setup: Which one.
        requests: How many are profiled; a tenth as many warm up.

    Returns:
        The profile, as text.
    """
    with _contending(setup, 1) as contender:
        contender.ask(f"serve last {max(requests // 10, 1)}")
        text: str = contender.ask(f"profile last {requests}")["profile"]
        return text


def _measure(setups: Sequence[Setup], routes: int, workloads: list[Workload], effort: Effort) -> list[Result]:
    with ExitStack() as running:
        contenders = [running.enter_context(_contending(setup, routes)) for setup in setups]
        for workload in workloads:
            _run_block(contenders, workload, effort)
        for contender in contenders:
            contender.forget()
        for block in range(effort.blocks):
            for workload in workloads:
                report(f"{setups[0].framework}: {workload.title}: block {block + 1} of {effort.blocks}")
                _run_block(contenders, workload, effort)
        deliveries = [contender.delivery() for contender in contenders]
        return [
            Result(contender.setup, workload, contender.costs[workload], delivery)
            for workload in workloads
            for contender, delivery in zip(contenders, deliveries, strict=True)
        ]


def _run_block(contenders: list[Contender], workload: Workload, effort: Effort) -> None:
    for number in range(effort.batches):
        start = number % len(contenders)  # nobody is always first
        for contender in contenders[start:] + contenders[:start]:
            contender.run_batch(workload, effort.batch)
    for contender in contenders:
        contender.end_block(workload, effort.batch * effort.batches)


@contextmanager
def _contending(setup: Setup, routes: int) -> Iterator[Contender]:
    with Sink() as sink, state_folder() as state:
        worker = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", setup.name, str(routes)],
            cwd=ROOT,
            env=environment(setup, sink, EXPORT_INTERVAL_S, Path(state)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with worker:  # leaving closes its stdin, at which it ends
            yield Contender(setup, worker, sink)
