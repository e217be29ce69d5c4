"""A gateway as it really runs: aiohttp's server on a free port of the loopback interface."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from ansflow_gateway.server import listen
from support.gateway import Answer, Gateway, Service, StartGateway, StartService, run_gateway


@pytest.fixture
async def start_gateway() -> AsyncIterator[StartGateway]:
    """Give a function that starts a gateway; it pushes nothing unless the environment says so."""
    async with AsyncExitStack() as stack:

        async def start(environ: Mapping[str, str] | None = None, **flags: str) -> Gateway:
            return await run_gateway(stack, environ, **flags)

        yield start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """Give a gateway with default settings that pushes nothing."""
    return await start_gateway()


@pytest.fixture
async def start_service() -> AsyncIterator[StartService]:
    """Give a function that starts a service with a health endpoint."""
    async with AsyncExitStack() as stack:

        async def start(answer: Answer) -> Service:
            listener = listen("127.0.0.1", 0)
            service = Service(f"http://127.0.0.1:{listener.getsockname()[1]}/health/", answer)
            app = web.Application()
            app.router.add_get("/{path:.*}", service.handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.SockSite(runner, listener).start()
            return service

        yield start
