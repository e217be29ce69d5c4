"""How much is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from .workloads import WORKLOADS, Workload

__all__ = ["Effort"]


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        batch: Requests that a set-up answers before it is the next one's turn.
        batches: Batches a block; whatever was recorded is exported at the end of each block.
        blocks: Blocks a workload, after one that warms up.
        workloads: What is requested.
        export_interval_s: Seconds between two exports of metrics, the same for all set-ups; else those that
            export seldom (the SDK's default is 60 s) would have less to do.
    """

    batch: int
    batches: int
    blocks: int
    workloads: Sequence[Workload] = WORKLOADS
    export_interval_s: int = 10

    def by_routes(self) -> dict[int, list[Workload]]:
        """Group the workloads by the application that they need."""
        groups = groupby(self.workloads, key=lambda workload: workload.routes)
        return {routes: list(group) for routes, group in groups}
