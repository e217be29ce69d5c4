"""Validation of a compose file without a container engine.

Use: `python -m ansflow_stack.checks.compose_check FILE`.

What `docker compose config` and a first start would tell, and what neither would (a port open to the network,
a password with a default): see `RULES` in `rules.py` for the list.

A tool of the repository: jsonschema, PyYAML and check-jsonschema come with its development dependencies, not
with the installed package.
"""

from ansflow_stack.checks.compose_check.project import ComposeError, Problem
from ansflow_stack.checks.compose_check.rules import check

__all__ = ["ComposeError", "Problem", "check"]
