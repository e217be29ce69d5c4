"""What one run has measured, and whether each set-up did the work that it was measured for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .setups import BARE, Setup
from .sink import Spans
from .workloads import Workload

__all__ = ["Delivery", "Measure", "Part", "Result", "deliveries_wrong"]


class Measure(StrEnum):
    """Whose CPU time."""

    REQUEST_PATH = "serving thread"
    """What a request pays before its response is complete."""

    PROCESS = "whole process, exporting included"


@dataclass(frozen=True)
class Delivery:
    """What became of the requests of one process, or of one server's processes.

    Attributes:
        sent: Requests answered.
        spans: Arrived at the OTLP endpoint.
        counted: Requests counted at the OTLP endpoint, or by the process's own registry.
    """

    sent: int
    spans: Spans
    counted: int

    def problem(self, setup: Setup) -> str | None:
        """Tell what is missing or too much.

        Args:
            setup: Whose it is.

        Returns:
            None where every request was recorded as the set-up has to.
        """
        expected = self.sent * setup.traced
        # Six standard deviations of as many coin tosses; nothing where all or none are sampled.
        tolerance = 6 * math.sqrt(expected * (1 - setup.traced))
        if abs(self.spans.server - expected) > tolerance:
            return f"{self.spans.server} SERVER spans of {self.sent} requests, {expected:g} expected"
        if self.counted != (self.sent if setup.counted else 0):
            return f"{self.counted} of {self.sent} requests counted"
        return None


@dataclass(frozen=True)
class Result:
    """Cost of one set-up under one workload.

    Attributes:
        setup: What was measured.
        workload: With what.
        costs: CPU time in µs a request, one figure a round; the rounds of a workload are the same for all
            set-ups, so that they can be compared in pairs.
        delivery: What became of the requests.
    """

    setup: Setup
    workload: Workload
    costs: dict[Measure, list[float]]
    delivery: Delivery


@dataclass(frozen=True)
class Part:
    """One part of the benchmark.

    Attributes:
        key: Name on the command line.
        title: Heading.
        results: By workload, the bare application first.
    """

    key: str
    title: str
    results: Sequence[Result]

    def workloads(self) -> list[Workload]:
        """List the workloads that were run, in order."""
        return list(dict.fromkeys(result.workload for result in self.results))

    def of(self, workload: Workload) -> list[Result]:
        """List a workload's results."""
        return [result for result in self.results if result.workload == workload]

    def costs(self, key: str, workload: Workload, measure: Measure) -> list[float] | None:
        """Find the costs of a set-up.

        Args:
            key: The set-up's.
            workload: Under which workload.
            measure: Whose CPU time.

        Returns:
            µs a request, one figure a round; None where it was not run or did not deliver.
        """
        for result in self.of(workload):
            if result.setup.key == key and result.delivery.problem(result.setup) is None:
                return result.costs.get(measure)
        return None

    def bare_costs(self, workload: Workload, measure: Measure) -> list[float]:
        """Give the bare application's costs, µs a request."""
        (bare,) = [result for result in self.of(workload) if result.setup.key == BARE]
        return bare.costs[measure]


def deliveries_wrong(parts: Sequence[Part]) -> list[str]:
    """List what did not arrive as it was sent, or arrived twice.

    Args:
        parts: All parts.

    Returns:
        A sentence each; empty where all is right.
    """
    return [
        f"{part.key}: {result.setup.name}, {result.workload.title}: {problem}"
        for part in parts
        for result in part.results
        if (problem := result.delivery.problem(result.setup)) is not None
    ]
