"""The compose specification's own JSON schema, as the package check-jsonschema carries it."""

import functools
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from ansflow_stack.checks.compose_check.project import Problem, Project

_PACKAGE = "check_jsonschema"
_FILE = "builtin_schemas/vendor/compose-spec.json"


def problems(project: Project) -> Iterator[Problem]:
    """Yield what the interpolated file has that the specification doesn't know, or lacks that it asks for."""
    errors = list(_validator().iter_errors(project.resolved))
    for error in errors:
        if _is_consequence(error, errors):
            continue
        # An error in an alternative lists all alternatives; the most specific one is what a person looks for.
        closest = best_match([error])
        yield Problem(_path(closest), closest.message)


@functools.cache
def _validator() -> Validator:
    schema: dict[str, Any] = json.loads(resources.files(_PACKAGE).joinpath(_FILE).read_text("utf-8"))
    kind = validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def _is_consequence(error: ValidationError, errors: Sequence[ValidationError]) -> bool:
    # One invalid property leaves all its siblings "unevaluated": that says nothing about them.
    if error.validator != "unevaluatedProperties":
        return False
    path = list(error.absolute_path)
    return any(
        len(other.absolute_path) > len(path) and list(other.absolute_path)[: len(path)] == path
        for other in errors
    )


def _path(error: ValidationError) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    return "".join(steps).removeprefix(".") or "(top level)"
