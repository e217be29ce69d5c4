"""The CI jobs themselves: the one thing here that is simulated."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

_SECONDS = {
    "checkout": (0.05, 0.25),
    "build": (0.2, 1.2),
    "test": (0.3, 1.8),
    "publish": (0.05, 0.2),
    "deploy": (0.2, 0.9),
    "report": (0.05, 0.2),
}
"""The shortest and the longest time a stage takes, in seconds."""

_OTHER_SECONDS = (0.1, 0.6)

_ERRORS = {
    "checkout": "checkout_failed",
    "build": "compilation_failed",
    "test": "tests_failed",
    "deploy": "deployment_failed",
}


@dataclass(frozen=True, slots=True)
class StageWork:
    """What a stage will do.

    Args:
        name: The stage's name.
        seconds: How long it will take.
        error_type: How it will fail; `None` where it will not.
    """

    name: str
    seconds: float
    error_type: str | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """Decides what the stages of a run will do.

    Args:
        chance: Where chance comes from.
        time_factor: Stretches every stage.
        failure_share: How many stages fail, 0 to 1.
    """

    chance: random.Random
    time_factor: float
    failure_share: float

    def plan(self, stages: Sequence[str]) -> list[StageWork]:
        """Return what the stages will do, up to the first that fails.

        Args:
            stages: The stages' names, in order.

        Returns:
            The work, in order.
        """
        works = []
        for name in stages:
            low, high = _SECONDS.get(name, _OTHER_SECONDS)
            seconds = self.chance.uniform(low, high) * self.time_factor
            fails = self.chance.random() < self.failure_share
            works.append(StageWork(name, seconds, _ERRORS.get(name, "stage_failed") if fails else None))
            if fails:
                break
        return works

    def artifact_size(self) -> int:
        """Return the size of what a run has built, in bytes."""
        return self.chance.randrange(50_000, 80_000_000)
