"""`python -m tests.bench.gateway.scrape`: what a scrape costs, against client_python's `generate_latest`.

Both have the same counter's series, with three labels. Before each scrape 1 % of them change, chosen at
random. The two are measured in turn, round by round. Nothing else is on either page, but one instrument of
the SDK's on the gateway's.
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import prometheus_client
from ansflow_gateway.exporters.page import Pacer, TablePage
from ansflow_gateway.exporters.prometheus import PrometheusPage
from ansflow_gateway.meters.declaration import Declaration, Kind
from ansflow_gateway.meters.series import TableMeter
from ansflow_gateway.meters.table import Table
from opentelemetry.sdk.metrics import MeterProvider

SIZES = (1_000, 10_000, 100_000)
"""Series."""

CHANGING = 0.01
"""Share of the series that change between two scrapes."""

ROUNDS = 9

_LABELS = ("ansflow.project.name", "cicd.pipeline.name", "error.type")
_METER = TableMeter(
    Declaration("bench.runs", Kind.COUNTER, "{run}", "Runs", frozenset(_LABELS), tabled=True), _LABELS
)
_TEXT = "text/plain;version=0.0.4"


@dataclass(frozen=True)
class Cost:
    """What one scrape took.

    Args:
        wall_s: Time from its begin to its end, in seconds.
        cpu_s: CPU time of the process meanwhile, in seconds.
    """

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Scrapes:
    """Scrapes of one number of series.

    Args:
        series: How many series.
        theirs: Of `generate_latest`, one a round.
        ours: Of the gateway's page, one a round.
        compressed: Of the gateway's page, with gzip, one a round; theirs are never compressed.
        first: Our first scrape, which renders everything.
    """

    series: int
    theirs: Sequence[Cost]
    ours: Sequence[Cost]
    compressed: Sequence[Cost]
    first: Cost


def measure(series: int, rounds: int = ROUNDS) -> Scrapes:
    """Measure scrapes of a number of series.

    Args:
        series: How many series.
        rounds: How many scrapes of each.

    Returns:
        The costs.

    Raises:
        RuntimeError: The two pages don't say the same: the measurement is void.
    """
    label_sets = [(f"project-{n // 50}", f"pipeline-{n % 50}", f"error-{n % 3}") for n in range(series)]
    table = Table([_METER], limit=series)
    # Else their page has a second sample, the time of its creation, for each series.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = prometheus_client.CollectorRegistry()
    names = [name.replace(".", "_") for name in _LABELS]
    counter = prometheus_client.Counter("bench_runs", "Runs", names, registry=registry)

    def change(chosen: Sequence[tuple[str, str, str]]) -> None:
        for labels in chosen:
            with table.lock:
                table.add(_METER, labels, 1, 1.0)
            counter.labels(*labels).inc()

    change(label_sets)
    page = PrometheusPage(table)
    provider = MeterProvider(metric_readers=[page.reader], shutdown_on_exit=False)
    provider.get_meter("bench").create_counter("bench.scrapes").add(1)
    _same(table, registry)
    first = _cost(lambda: page.render(_TEXT, ""))
    theirs, ours, compressed = [], [], []
    generator = random.Random(1)  # noqa: S311 # the same changes in each run
    for _ in range(rounds):
        change(generator.sample(label_sets, max(1, int(series * CHANGING))))
        theirs.append(_cost(lambda: prometheus_client.generate_latest(registry)))
        ours.append(_cost(lambda: page.render(_TEXT, "")))
        change(generator.sample(label_sets, max(1, int(series * CHANGING))))
        compressed.append(_cost(lambda: page.render(_TEXT, "gzip")))
    _same(table, registry)
    return Scrapes(series, theirs, ours, compressed, first)


def table_of(results: Sequence[Scrapes]) -> str:
    """Lay results out as a table in Markdown, of medians and of ratios of medians.

    Args:
        results: One a number of series.

    Returns:
        The table.
    """
    lines = [
        "| series | `generate_latest` | gateway | slowest | ratio | CPU ratio | with gzip | ratio | first |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in results:
        theirs, ours = _median(each.theirs), _median(each.ours)
        compressed = _median(each.compressed)
        lines.append(
            f"| {each.series:,} | {_ms(theirs.wall_s)} | {_ms(ours.wall_s)} "
            f"| {_ms(max(cost.wall_s for cost in each.ours))} | {ours.wall_s / theirs.wall_s:.4f} "
            f"| {ours.cpu_s / theirs.cpu_s:.4f} | {_ms(compressed.wall_s)} "
            f"| {compressed.wall_s / theirs.wall_s:.4f} | {_ms(each.first.wall_s)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    results = [measure(series) for series in SIZES]
    sys.stdout.write(f"{table_of(results)}\n")


def _cost(scrape: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    scrape()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _same(table: Table, registry: prometheus_client.CollectorRegistry) -> None:
    ours = b"".join(TablePage(table, open_metrics=False).blocks(Pacer())).decode()
    theirs = prometheus_client.generate_latest(registry).decode()
    if _samples(ours) != _samples(theirs):
        raise RuntimeError("the two pages differ")


def _samples(page: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("# "))
    return {series: float(value) for series, _, value in lines}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(median(cost.wall_s for cost in costs), median(cost.cpu_s for cost in costs))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


if __name__ == "__main__":
    main()
