"""What has to be shown: ratios of added costs, each against a peer measured in the same run."""

from collections.abc import Sequence
from dataclasses import dataclass

from .figures import Ratio, added, ratio_of_added
from .results import Measure, Part
from .workloads import Workload

__all__ = ["TARGETS", "Finding", "Target", "findings"]


@dataclass(frozen=True)
class Target:
    """One ratio that is not to be exceeded, under any workload.

    Attributes:
        part: Key of the part.
        measure: Whose CPU time.
        ours: Key of our set-up.
        peer: Key of the peer's.
        limit: The ratio.
    """

    part: str
    measure: Measure
    ours: str
    peer: str
    limit: float


@dataclass(frozen=True)
class Finding:
    """What was measured of a target.

    Attributes:
        target: The target.
        ratios: By workload; none where a set-up was not run, or did not deliver.
    """

    target: Target
    ratios: dict[Workload, Ratio]

    @property
    def met(self) -> bool:
        """Whether the ratio is within the limit under every workload."""
        return bool(self.ratios) and all(ratio.value <= self.target.limit for ratio in self.ratios.values())


PFI = "prometheus-fastapi-instrumentator"


def _in_process(part: str, ours: str, peer: str, limit: float) -> list[Target]:
    return [Target(part, measure, ours, peer, limit) for measure in Measure]


TARGETS = (
    *_in_process("fastapi", "ansflow-100", PFI, 0.8),
    *_in_process("fastapi", "ansflow-100", "contrib", 0.15),
    *_in_process("fastapi", "ansflow-1", PFI, 0.4),
    Target("fastapi-server", Measure.PROCESS, "ansflow-100", "contrib", 0.25),
    *_in_process("django", "ansflow-100", "contrib", 0.3),
    *_in_process("django", "ansflow-100", "django-prometheus", 1.0),
    *_in_process("django", "ansflow-1", "django-prometheus", 0.6),
)
"""In the order of the issue that set them."""


def findings(parts: Sequence[Part]) -> list[Finding]:
    """Compare what was measured with the targets.

    Args:
        parts: What was run.

    Returns:
        A finding for each target of these parts.
    """
    by_key = {part.key: part for part in parts}
    return [
        Finding(target, _ratios(by_key[target.part], target)) for target in TARGETS if target.part in by_key
    ]


def _ratios(part: Part, target: Target) -> dict[Workload, Ratio]:
    ratios = {}
    for workload in part.workloads():
        bare = part.bare_costs(workload, target.measure)
        ours = part.costs(target.ours, workload, target.measure)
        peer = part.costs(target.peer, workload, target.measure)
        if ours is not None and peer is not None:
            ratios[workload] = ratio_of_added(added(ours, bare), added(peer, bare))
    return ratios
