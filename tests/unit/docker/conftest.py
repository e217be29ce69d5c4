"""Shared by the tests of docker/: the repository's root, and the tools that judge its files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

Find = Callable[[str], str]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def find_tool() -> Find:
    """Return a function from a tool's name to its path, which skips where it is missing and fails in CI."""

    def find(name: str) -> str:
        variable = f"ANSFLOW_{name.upper()}"
        path = Path(os.environ.get(variable) or ROOT / ".cache" / "bin" / name)
        if path.is_file():
            return str(path)
        message = f"{path} is not there: build it, or set {variable}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)

    return find
