"""The result as Markdown tables."""

from collections.abc import Sequence

from .figures import added, spread
from .results import Measure, Part, Result
from .setups import SETUPS
from .targets import Finding
from .workloads import Workload

__all__ = ["cost_table", "part_tables", "target_table"]

MEASURE_TITLES = {Measure.REQUEST_PATH: "request path", Measure.PROCESS: "whole process"}


def part_tables(part: Part) -> str:
    """Render a part: a table for each workload.

    Args:
        part: The part.

    Returns:
        Markdown.
    """
    return "\n\n".join(
        f"### {part.title}: {workload.title}\n\n{cost_table(part, workload)}" for workload in part.workloads()
    )


def cost_table(part: Part, workload: Workload) -> str:
    """Render the costs under one workload.

    Args:
        part: The part.
        workload: The workload.

    Returns:
        A Markdown table.
    """
    results = part.of(workload)
    measures = [measure for measure in Measure if measure in results[0].costs]
    heads = [
        f"{MEASURE_TITLES[measure]}{column}"
        for measure in measures
        for column in (" µs", ": added µs (quartiles)", ", x bare")
    ]
    lines = [
        f"| set-up | {' | '.join(heads)} | spans a request | counted | delivery |",
        f"|---|{'--:|' * len(heads)}--:|--:|---|",
    ]
    lines += [_row(part, result, measures) for result in results]
    return "\n".join(lines)


def _row(part: Part, result: Result, measures: Sequence[Measure]) -> str:
    cells = [result.setup.title]
    for measure in measures:
        bare = part.bare_costs(result.workload, measure)
        difference = spread(added(result.costs[measure], bare))
        cost = spread(result.costs[measure]).median
        cells += [
            f"{cost:.1f}",
            f"{difference.median:.1f} ({difference.lower:.1f} to {difference.upper:.1f})",
            f"{cost / spread(bare).median:.2f}",
        ]
    delivery = result.delivery
    cells += [
        f"{delivery.spans.total / delivery.sent:.3g}",
        f"{delivery.counted / delivery.sent:.6g}",
        f"WRONG: {problem}" if (problem := delivery.problem(result.setup)) else "exact",
    ]
    return f"| {' | '.join(cells)} |"


def target_table(findings: Sequence[Finding]) -> str:
    """Render the targets and what was measured.

    Args:
        findings: Of the parts that were run.

    Returns:
        A Markdown table.
    """
    lines = [
        "| part | added CPU of | by that of | measured as | target | measured (9 of 10 resamplings) | |",
        "|---|---|---|---|--:|---|---|",
    ]
    for finding in findings:
        target = finding.target
        measured = "; ".join(
            f"{workload.title}: **{ratio.value:.2f}** ({ratio.lower:.2f} to {ratio.upper:.2f})"
            for workload, ratio in finding.ratios.items()
        )
        cells = [
            target.part,
            _title(target.part, target.ours),
            _title(target.part, target.peer),
            target.measure.value,
            f"≤ {target.limit:g}",
            measured or "not measured",
            "met" if finding.met else "**not met**",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _title(part: str, key: str) -> str:
    framework = part.partition("-")[0]
    (title,) = [setup.title for setup in SETUPS if setup.framework == framework and setup.key == key]
    return title
