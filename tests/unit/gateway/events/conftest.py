"""The receiver of events on a real server, with a real store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.receiver import Receiver, run_receiver


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    """Give a receiver with an empty store."""
    async with run_receiver(tmp_path) as running:
        yield running
