"""Puts the service together."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

import httpx
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response
from platform_events import EventPublisher
from starlette.requests import HTTPConnection
from starlette.status import WS_1013_TRY_AGAIN_LATER

from fastapi_service import __version__
from fastapi_service.cache import cache_at
from fastapi_service.config import Config
from fastapi_service.database import OUR_FAULT, UNREACHABLE, Database
from fastapi_service.integrations import ProjectIntegrations
from fastapi_service.management import ManagementClient
from fastapi_service.progress import ProgressHub
from fastapi_service.registry import RegistryClient
from fastapi_service.resources import Resources
from fastapi_service.routers import health, integrations, internal, pipelines, projects, runs, websockets
from fastapi_service.run_store import RunStore
from fastapi_service.runner import Runner
from fastapi_service.simulation import Simulation

logger = logging.getLogger(__name__)

_PATIENCE = httpx.Timeout(3.0, connect=1.0)
_RUNS_STOP_S = 5.0
_EVENTS_STOP_S = 3.0
_ABANDONED_AFTER = timedelta(minutes=15)
_START_WAIT_S = 5.0


def build_app(config: Config) -> FastAPI:
    """Return the application.

    Args:
        config: The configuration.

    Returns:
        An ASGI application; nothing is connected before its lifespan starts.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _resources(config) as resources:
            app.state.resources = resources
            yield

    app = FastAPI(title="AnsFlow pipelines", version=__version__, lifespan=lifespan)
    for module in (projects, pipelines, runs, integrations, internal, websockets):
        app.include_router(module.router)
    app.include_router(health.make_router())

    for kind in UNREACHABLE:
        app.add_exception_handler(kind, _unavailable)
    return app


async def _unavailable(connection: HTTPConnection, error: Exception) -> Response:
    """Answer 503 to a request, and close a WebSocket, where the database is away."""
    if isinstance(error, OUR_FAULT):
        raise error
    logger.error("%s: database: %s", connection.url.path, error)
    if isinstance(connection, WebSocket):
        with suppress(RuntimeError, WebSocketDisconnect):  # it may be closed already
            await connection.close(WS_1013_TRY_AGAIN_LATER, "database is not available")
    return JSONResponse({"detail": "database is not available"}, 503, {"Retry-After": "5"})


@asynccontextmanager
async def _resources(config: Config) -> AsyncIterator[Resources]:
    """Open everything the application uses, and close it in the opposite order."""
    async with AsyncExitStack() as stack:
        publisher = EventPublisher.to_url(
            config.event_sink_url, source="/services/fastapi", token=config.event_sink_token
        )
        stack.push_async_callback(asyncio.to_thread, publisher.close, _EVENTS_STOP_S)
        database = Database(config.database_url)
        stack.push_async_callback(database.close)
        cache = cache_at(config.redis_url)
        stack.push_async_callback(cache.close)
        management_http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=config.management_url, timeout=_PATIENCE)
        )
        management = ManagementClient(management_http, cache)
        registry_http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=config.registry_url, timeout=_PATIENCE)
        )
        registry = RegistryClient(registry_http)
        store = RunStore(database.session)
        project_integrations = ProjectIntegrations(database.session, registry)
        progress = ProgressHub()
        # Chance decides here how long a simulated job takes: it keeps no secrets.
        chance = random.Random(config.simulation_seed)  # noqa: S311 - chance, no secret
        runner = Runner(
            store=store,
            simulation=Simulation(chance, config.stage_time_factor, config.stage_failure_share),
            integrations=project_integrations,
            progress=progress,
            publisher=publisher,
            max_parallel_runs=config.max_parallel_runs,
        )
        stack.push_async_callback(runner.stop, _RUNS_STOP_S)
        preparation = asyncio.create_task(_prepare(database, store), name="prepare database")
        stack.push_async_callback(_end, preparation)
        # As a rule the database is there; where it is not, health says so while the attempts go on.
        await asyncio.wait([preparation], timeout=_START_WAIT_S)
        yield Resources(
            config=config,
            database=database,
            cache=cache,
            management=management,
            management_http=management_http,
            registry=registry,
            registry_http=registry_http,
            integrations=project_integrations,
            runs=store,
            runner=runner,
            progress=progress,
            publisher=publisher,
        )


async def _prepare(database: Database, store: RunStore) -> None:
    await database.prepare_until_done()
    abandoned = await store.give_up_abandoned(older_than=_ABANDONED_AFTER)
    if abandoned:
        logger.warning("%d runs were left behind by a process that died", abandoned)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    for result in await asyncio.gather(task, return_exceptions=True):
        if isinstance(result, Exception):
            logger.error("the database could not be prepared: %s", result)
