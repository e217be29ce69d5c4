"""Who answers a request."""

import pytest
from aiohttp import web
from ansflow_gateway.receivers import events, modes


@pytest.fixture
def by_aiohttp(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give a list that grows by one with each request for events that aiohttp gets to see."""
    seen: list[str] = []

    def noted(request: web.Request) -> modes.Mode:
        seen.append(request.path)
        return modes.mode_of(request)

    monkeypatch.setattr(events, "mode_of", noted)
    return seen
