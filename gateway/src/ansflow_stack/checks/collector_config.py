"""Reads Collector configuration the way the Collector does: several files, merged, with variables in them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import yaml

Config = Mapping[str, Any]
"""A merged configuration: receivers, processors, exporters, connectors, extensions, service."""


class ConfigError(Exception):
    """A configuration file can't be read; the message names the file and what was expected."""


@dataclass(frozen=True)
class Variable:
    """One ``${env:NAME:-default}`` in a text."""

    name: str
    default: str | None


_VARIABLE = re.compile(r"\$\$|\$\{(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}")


def load(files: Iterable[Path]) -> dict[str, Any]:
    """Return the files' merged content: maps are merged, all else is replaced by the later file.

    Source: https://opentelemetry.io/docs/collector/configuration/#how-to-merge-multiple-configuration-files

    Raises:
        ConfigError: a file can't be read, is not YAML, or holds no map.
    """
    merged: dict[str, Any] = {}
    for file in files:
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{file}: {error}") from error
        if not is_map(content):
            raise ConfigError(f"{file}: expected a map, found {type(content).__name__}")
        merged = _merge(merged, content)
    return merged


def _merge(under: Config, over: Config) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if is_map(below) and is_map(value) else value
    return merged


def is_map(value: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether a value of the configuration is a map; its keys are taken for texts."""
    return isinstance(value, dict)


def submap(config: Config, *keys: str) -> dict[str, Any]:
    """Return the map at a path of keys, empty where there is none."""
    value: object = config
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if is_map(value) else {}


def walk(value: object, path: str = "") -> Iterator[tuple[str, str, object]]:
    """Yield (path, key, value) of every entry, depth first; a list's entries have their index as key."""
    entries: Iterable[tuple[object, object]]
    if isinstance(value, Mapping):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    else:
        return
    for key, child in entries:
        where = f"{path}.{key}" if path else str(key)
        yield where, str(key), child
        yield from walk(child, where)


def component_type(identifier: str) -> str:
    """Return the type of a component's id: ``otlp`` of ``otlp/internal``."""
    return identifier.partition("/")[0]


def variables(text: str) -> list[Variable]:
    """Return the environment variables that a text names, in order; ``$$`` is a plain dollar."""
    return [
        Variable(found["name"], found["default"][2:] if found["default"] is not None else None)
        for found in _VARIABLE.finditer(text)
        if found["name"]
    ]


def with_defaults(text: str) -> str:
    """Return a text as it is with no environment variable set: by its defaults, else by nothing."""
    return _VARIABLE.sub(lambda found: (found["default"] or "")[2:] if found["name"] else "$", text)
