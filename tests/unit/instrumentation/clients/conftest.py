"""A real server for the tests of clients."""

from collections.abc import Iterator

import pytest
from support.http_peer import Peer, running_peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Who is called."""
    with running_peer() as peer:
        yield peer
