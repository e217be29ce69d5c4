"""All rules on one compose file."""

from collections.abc import Callable, Iterator
from pathlib import Path

from ansflow_stack.checks.compose_check import dockerfile, exposure, mounts, relations, schema, variables
from ansflow_stack.checks.compose_check.project import Problem, Project, load

Rule = Callable[[Project], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    variables.problems,
    relations.problems,
    mounts.problems,
    exposure.problems,
    dockerfile.problems,
)
"""What is checked once the file is valid by the schema, which the rules rely on for its shape."""


def check(file: Path, root: Path) -> list[Problem]:
    """Return what is wrong with a compose file, sorted by place.

    Args:
        file: The compose file; `.env.example` is looked for beside it.
        root: The repository that mounts must lie in.

    Raises:
        ComposeError: The file can't be checked at all.
    """
    project = load(file, root)
    return sorted(set(schema.problems(project)) or {each for rule in RULES for each in rule(project)})
