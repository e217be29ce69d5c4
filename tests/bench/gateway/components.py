"""What is measured within one process: the page for Prometheus, and the sampler of the host."""

from collections.abc import Sequence

from ..progress import report
from .results import Section, Target, quantile, shown
from .sampling import measure_sampling
from .scrape import SIZES, Cost, Scrapes, measure

__all__ = ["sampling", "scrapes"]

SCRAPE_SHARE = 0.1
"""Of the time of `generate_latest` may a scrape take, where 1 % of the series changed."""

SAMPLING_SHARE = 0.005
"""Of one core may the sampler take."""

LAG_S = 0.005
"""By so much may the event loop be late while samples are taken."""

SCRAPE_NOTE = """\
The gateway's page beside `prometheus_client.generate_latest`, both with the same series, of which 1 % change
before each scrape; the two pages are compared before and after. CPU time of the process; the time by the
clock is what the target is about.
"""

SAMPLING_NOTE = """\
CPU time of the sampler's thread, and how late a timer of 1 ms is on an event loop beside it, while samples
are taken a hundred times as often as by default; without any, the machine's own lateness.
"""


def scrapes(*, quick: bool) -> Section:
    """Measure the page, at all sizes or at the smallest."""
    results = []
    for size in SIZES[:1] if quick else SIZES:
        report(f"gateway: scrapes of {size} series")
        results.append(measure(size))
    heads = (
        "series",
        "`generate_latest`, ms (quartiles)",
        "gateway, ms (quartiles)",
        "slowest, ms",
        "with gzip, ms (quartiles)",
        "CPU: gateway / `generate_latest`",
        "the first scrape, ms",
    )
    return Section("Scrapes", SCRAPE_NOTE, heads, [_row(each) for each in results], [_target(results[-1])])


def sampling(*, quick: bool) -> Section:
    """Measure the sampler."""
    report("gateway: sampling")
    cost = measure_sampling(0.5 if quick else 4.0)
    row = [
        f"{cost.cpu_s_a_sample * 1e3:.2f}",
        f"{cost.share_of_cpu:.3%}",
        f"{cost.worst_lag_sampling_s * 1e3:.2f}",
        f"{cost.worst_lag_idle_s * 1e3:.2f}",
    ]
    heads = ("CPU ms a sample", "of one core, every 5 s", "greatest lag while sampling, ms", "without, ms")
    targets = [
        Target(
            "Of one core, for samples every 5 s",
            f"< {SAMPLING_SHARE:.1%}",
            f"**{cost.share_of_cpu:.3%}**",
            cost.share_of_cpu < SAMPLING_SHARE,
        ),
        Target(
            "Greatest lag of the event loop while sampling",
            f"< {LAG_S * 1e3:g} ms",
            f"**{cost.worst_lag_sampling_s * 1e3:.2f} ms** ({cost.worst_lag_idle_s * 1e3:.2f} ms without)",
            cost.worst_lag_sampling_s < LAG_S,
        ),
    ]
    return Section("Samples of the host", SAMPLING_NOTE, heads, [row], targets)


def _row(measured: Scrapes) -> list[str]:
    theirs, ours = measured.theirs, measured.ours
    cpu = quantile([cost.cpu_s for cost in ours], 0.5) / quantile([cost.cpu_s for cost in theirs], 0.5)
    return [
        f"{measured.series:,}",
        shown(_ms(theirs), 2),
        shown(_ms(ours), 2),
        f"{max(_ms(ours)):.2f}",
        shown(_ms(measured.compressed), 2),
        f"{cpu:.4f}",
        f"{measured.first.wall_s * 1e3:.2f}",
    ]


def _target(measured: Scrapes) -> Target:
    theirs = quantile(_ms(measured.theirs), 0.5)
    ours = max(_ms(measured.ours))  # so few have no p99; it isn't beyond the slowest
    return Target(
        f"Slowest of {len(measured.ours)} scrapes of {measured.series:,} series over `generate_latest`",
        f"< {SCRAPE_SHARE:g}",
        f"**{ours / theirs:.4f}** ({ours:.2f} ms of {theirs:.0f} ms)",
        ours < SCRAPE_SHARE * theirs,
    )


def _ms(costs: Sequence[Cost]) -> list[float]:
    return [cost.wall_s * 1e3 for cost in costs]
