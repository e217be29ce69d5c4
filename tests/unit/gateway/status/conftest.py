"""A server of the status page."""

from collections.abc import AsyncIterator

import pytest
from ansflow_gateway.web.status.events import LiveOptions
from support.status import StatusServer, ToldSource, full_view, serve_status


@pytest.fixture
async def server() -> AsyncIterator[StatusServer]:
    """Give a server that shows a full view, and looks for changes often."""
    async with serve_status(ToldSource(full_view()), LiveOptions(tick_s=0.05, sample_s=0.1)) as running:
        yield running
