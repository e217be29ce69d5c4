"""Gateways as processes, ended with the test."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.failing_disk import FailingDisk, make_disk
from support.gateway_process import GatewayProcess, MakeGateway


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[MakeGateway]:
    """Give a function that makes gateways; its store is a file of its own, where nothing else is said."""
    with ExitStack() as stack:

        def make(
            *arguments: str, name: str = "gateway", store: str = "", environ: Mapping[str, str] | None = None
        ) -> GatewayProcess:
            folder = tmp_path / name
            gateway = GatewayProcess(store or str(folder / "events.db"), folder, arguments, environ)
            stack.callback(gateway.end)
            return gateway

        yield make


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FailingDisk:
    """Give a disk that can fail, made once."""
    return make_disk(tmp_path_factory.mktemp("disk"))


@pytest.fixture
def disk(library: FailingDisk) -> Iterator[FailingDisk]:
    """Give a disk that fails when it is told to, and no longer than the test."""
    library.mend()
    yield library
    library.mend()
