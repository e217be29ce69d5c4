"""Shared by the tests of docker/: the repository's root, and the tools that judge its files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.programs import ROOT, find_binary

Find = Callable[[str], str]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def find_tool() -> Find:
    """Return a function from a tool's name to its path, which skips where it is missing and fails in CI."""

    def find(name: str) -> str:
        return str(find_binary(name, f"ANSFLOW_{name.upper()}"))

    return find
