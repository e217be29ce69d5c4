"""Configuration files are merged, and their variables read, as the Collector does it."""

from pathlib import Path

import pytest
from ansflow_stack.checks.collector_config import (
    ConfigError,
    Variable,
    component_type,
    load,
    submap,
    variables,
    walk,
    with_defaults,
)


def test_maps_are_merged_and_lists_replaced(tmp_path: Path) -> None:
    """An overlay adds to a map; its list takes the place of the base's."""
    base = _file(tmp_path, "base", "a: {b: 1, c: [1, 2]}\nd: 1")
    overlay = _file(tmp_path, "overlay", "a: {c: [3], e: 2}")
    assert load([base, overlay]) == {"a": {"b": 1, "c": [3], "e": 2}, "d": 1}


def test_a_merge_leaves_its_sources_alone(tmp_path: Path) -> None:
    """Loading the base again after a combination gives the base again."""
    base = _file(tmp_path, "base", "a: {b: 1}")
    overlay = _file(tmp_path, "overlay", "a: {b: 2}")
    load([base, overlay])
    assert load([base]) == {"a": {"b": 1}}


@pytest.mark.parametrize(("content", "found"), [("", "NoneType"), ("- 1", "list"), ("text", "str")])
def test_a_file_without_a_map_is_refused(tmp_path: Path, content: str, found: str) -> None:
    """The message names the file and what was found in it."""
    file = _file(tmp_path, "odd", content)
    with pytest.raises(ConfigError) as refused:
        load([file])
    assert str(refused.value) == f"{file}: expected a map, found {found}"


@pytest.mark.parametrize("content", [b"a: [", b"a: \xff"])
def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    """Broken syntax and broken encoding are errors of the file, not of this program."""
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        load([file])


def test_variables_are_found_with_their_defaults() -> None:
    """Both spellings count, an empty default is a default, and a doubled dollar is text."""
    text = "${env:HOST:-127.0.0.1}:${PORT} ${env:EMPTY:-} $${env:PLAIN}"
    assert variables(text) == [Variable("HOST", "127.0.0.1"), Variable("PORT", None), Variable("EMPTY", "")]
    assert with_defaults(text) == "127.0.0.1:  ${env:PLAIN}"


def test_walk_visits_every_entry_with_its_path() -> None:
    """Lists are walked by index, parents come before their children."""
    assert list(walk({"a": [{"b": 1}]})) == [
        ("a", "a", [{"b": 1}]),
        ("a.0", "0", {"b": 1}),
        ("a.0.b", "b", 1),
    ]


def test_a_missing_map_is_an_empty_one() -> None:
    """Neither an absent key nor a scalar in the way is an error."""
    assert submap({"a": {"b": 1}}, "a", "b", "c") == {}
    assert submap({"a": {"b": {"c": 1}}}, "a", "b") == {"c": 1}


def test_the_type_is_what_stands_before_the_slash() -> None:
    """A component's id is its type, or its type and a name."""
    assert [component_type(name) for name in ("otlp", "otlp/internal")] == ["otlp", "otlp"]


def _file(folder: Path, name: str, content: str) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(content)
    return file
