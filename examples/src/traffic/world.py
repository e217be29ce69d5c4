"""What is known about the platform: where requests can go next."""

import random
from collections import deque
from dataclasses import dataclass, field

PROJECTS = ("web-shop", "payments", "mobile-app", "data-platform")
"""The projects that both services start with."""

PROJECT_OWNERS = ("ada", "grace", "linus")

USERS = ("ada", "grace", "linus", "margaret", "ci-bot")
"""The users that the management service starts with."""

SCRATCH_PROJECTS = tuple(f"sandbox-{number}" for number in range(1, 6))
"""Projects that come and go: few, as each project is a value of metrics' labels."""

SCRATCH_USERS = tuple(f"trainee-{number}" for number in range(1, 6))
"""Users that come and go."""


@dataclass(slots=True)
class World:
    """What was learnt from answers, and chance.

    Args:
        chance: Where chance comes from.
        pipelines: Ids of pipelines.
        integrations: Ids of integrations.
        runs: Ids of the latest runs.
    """

    chance: random.Random
    pipelines: list[int] = field(default_factory=list)
    integrations: list[int] = field(default_factory=list)
    runs: deque[str] = field(default_factory=lambda: deque(maxlen=30))

    def project(self) -> str:
        """Return one of the lasting projects."""
        return self.chance.choice(PROJECTS)

    def user(self) -> str:
        """Return one of the lasting users."""
        return self.chance.choice(USERS)

    def learn(self, method: str, route: str, answer: object) -> None:
        """Take what is new from an answer.

        Args:
            method: The request's method.
            route: The request's route.
            answer: The answer's JSON.
        """
        if (method, route) == ("GET", "/api/v1/projects/{slug}/pipelines"):
            _add(self.pipelines, answer)
        elif (method, route) == ("GET", "/api/v1/projects/{slug}/integrations"):
            _add(self.integrations, answer)
        elif (method, route) == ("POST", "/api/v1/pipelines/{pipeline_id}/runs"):
            match answer:
                case {"id": str(run_id)}:
                    self.runs.append(run_id)


def _add(known: list[int], answer: object) -> None:
    match answer:
        case [*items]:
            for item in items:
                match item:
                    case {"id": int(number)} if number not in known:
                        known.append(number)
