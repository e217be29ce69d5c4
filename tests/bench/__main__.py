"""`python -m tests.bench`: what a request costs in CPU time, bare and instrumented, as a table of ratios."""

import argparse
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .setups import BARE, SETUPS
from .sink import Sink

ROOT = Path(__file__).parents[2]

PACKAGES = ("fastapi", "opentelemetry-sdk", "opentelemetry-instrumentation-fastapi")


@dataclass
class Contender:
    """A running worker and what it measured.

    Attributes:
        worker: The process.
        sink: Where it exports to.
        cpu_s: CPU seconds of each round.
    """

    worker: "subprocess.Popen[str]"
    sink: Sink
    cpu_s: list[float] = field(default_factory=list)

    def run(self, requests: int) -> float:
        """Have the worker process so many requests; returns its CPU seconds."""
        if self.worker.stdin is None or self.worker.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self.worker.stdin.write(f"{requests}\n")
        self.worker.stdin.flush()
        return float(self.worker.stdout.readline())


@contextmanager
def contending(setup: str) -> Iterator[Contender]:
    """Start a set-up's worker, with an endpoint of its own, until the block ends."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "ANSFLOW_", "_ANSFLOW"))}
    with Sink() as sink:
        environment = {
            **inherited,
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
            "OTEL_PYTHON_DISTRO": "ansflow",
            # Batches run faster than any real traffic: nobody may save work by dropping spans.
            "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
        }
        worker = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", setup],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with worker:  # leaving closes its stdin, at which it ends
            yield Contender(worker, sink)


def measure(requests: int, rounds: int) -> tuple[dict[str, Contender], int]:
    """Run all set-ups in turn, round after round, so that a busy machine is busy for all.

    Args:
        requests: Requests a batch.
        rounds: Batches a set-up, after one that warms up.

    Returns:
        The contenders by name, and how many requests each has processed.
    """
    with ExitStack() as running:
        contenders = {name: running.enter_context(contending(name)) for name in SETUPS}
        for contender in contenders.values():
            contender.run(requests)
        names = list(contenders)
        for number in range(rounds):
            start = number % len(names)  # nobody is always first
            for name in names[start:] + names[:start]:
                contenders[name].cpu_s.append(contenders[name].run(requests))
        return contenders, requests * (rounds + 1)


def table(contenders: dict[str, Contender], requests: int, total: int) -> str:
    """Render the result.

    Args:
        contenders: The contenders by name.
        requests: Requests a batch.
        total: Requests that each has processed.

    Returns:
        A Markdown table.
    """
    bare = contenders[BARE].cpu_s
    lines = [
        "| set-up | CPU µs a request | x bare | fastest and slowest round | spans | counted |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, contender in contenders.items():
        ratios = [cpu / base for cpu, base in zip(contender.cpu_s, bare, strict=True)]
        micros = [cpu / requests * 1e6 for cpu in contender.cpu_s]
        lines.append(
            f"| {name} | {statistics.median(micros):.0f} | {statistics.median(ratios):.2f} "
            f"| {min(micros):.0f} to {max(micros):.0f} "
            f"| {contender.sink.spans() / total:g} | {contender.sink.requests_counted() / total:g} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="requests a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=11, help="batches a set-up (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.requests < 1 or arguments.rounds < 1:
        parser.error("--requests and --rounds must be 1 or more")
    contenders, total = measure(arguments.requests, arguments.rounds)
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    sys.stdout.write(
        f"In-process ASGI, trivial route; traces at 100 % and metrics, exported by OTLP.\n"
        f"CPU time of the whole process, exporting included: medians of {arguments.rounds} interleaved\n"
        f"rounds of {arguments.requests} requests each.\n"
        f"Python {platform.python_version()}, {versions}.\n"
        f"Spans and counted: what arrived at the OTLP endpoint, a request sent.\n\n"
        f"{table(contenders, arguments.requests, total)}\n"
    )


if __name__ == "__main__":
    main()
