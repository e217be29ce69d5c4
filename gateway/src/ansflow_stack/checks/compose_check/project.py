"""A compose file with all that its checks need: the raw tree, the interpolated one, the documented variables.

Errors::

    ComposeError    the file can't be checked at all: not YAML, or not a mapping
    Problem         (no exception) one thing that is wrong, and where
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansflow_stack.checks.compose_check.interpolation import InterpolationError, interpolate

_DOCUMENTED = re.compile(r"^(?P<comment># ?)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)$", re.MULTILINE)


class ComposeError(Exception):
    """The file can't be checked at all."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: Path in the compose file (`services.web.ports[0]`), or a file's name.
        what: One sentence.
    """

    where: str
    what: str

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Project:
    """A compose file as its checks see it.

    Attributes:
        file: The compose file.
        root: The repository that mounts and build contexts must lie in.
        raw: The file's tree, variables not replaced, anchors and merges resolved.
        resolved: The same tree with `.env.example`'s values, and defaults for the rest.
        required: What `.env.example` sets: values that a user has to change.
        optional: What it shows commented out: the defaults.
    """

    file: Path
    root: Path
    raw: Mapping[str, Any]
    resolved: Mapping[str, Any]
    required: Mapping[str, str]
    optional: Mapping[str, str]

    @property
    def directory(self) -> Path:
        """What relative paths in the file are relative to."""
        return self.file.parent

    def services(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each service's name and interpolated definition."""
        for name, service in section(self.resolved, "services").items():
            yield name, service if isinstance(service, dict) else {}


def load(file: Path, root: Path) -> Project:
    """Read a compose file and the `.env.example` beside it.

    Raises:
        ComposeError: The file is unreadable, not YAML, has a key twice, or a text that can't be interpolated.
    """
    try:
        raw = yaml.load(file.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 # a SafeLoader
    except (OSError, yaml.YAMLError) as error:
        raise ComposeError(f"{file}: {error}") from error
    if not isinstance(raw, dict):
        raise ComposeError(f"{file}: expected a mapping, got {type(raw).__name__}")
    example = file.parent / ".env.example"
    documented = list(_DOCUMENTED.finditer(example.read_text(encoding="utf-8") if example.is_file() else ""))
    required = {line["name"]: line["value"] for line in documented if not line["comment"]}
    try:
        resolved = _interpolated(raw, required)
    except InterpolationError as error:
        raise ComposeError(f"{file}: {error}") from error
    return Project(
        file=file,
        root=root.resolve(),
        raw=raw,
        resolved=resolved,
        required=required,
        optional={line["name"]: line["value"] for line in documented if line["comment"]},
    )


def section(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a top-level mapping, empty where it is absent or none (the schema's business)."""
    value = tree.get(name)
    return value if isinstance(value, dict) else {}


def texts(tree: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text value of a tree with its path; keys are not interpolated by compose either."""
    if isinstance(tree, str):
        yield where, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from texts(value, f"{where}.{key}" if where else str(key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from texts(value, f"{where}[{index}]")


def _interpolated(tree: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(tree, str):
        return interpolate(tree, variables)
    if isinstance(tree, dict):
        return {key: _interpolated(value, variables) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_interpolated(value, variables) for value in tree]
    return tree


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is there twice, as compose does; YAML's default is that the last one wins."""

    # Before construction, as merge keys (`<<`) are resolved there: what they bring may be overridden.
    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return node
