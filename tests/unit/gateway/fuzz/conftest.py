"""A gateway as a process, for the tests of a module; at its end nothing but what it was told has happened."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fuzzing import FuzzedGateway, fuzzed_gateway


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedGateway]:
    """Give a gateway that asks nobody for a token."""
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    with fuzzed_gateway(folder) as gateway:
        yield gateway
