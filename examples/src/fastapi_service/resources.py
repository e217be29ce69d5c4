"""What the request handlers use, and how they get it."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, cast

import httpx
from fastapi import Depends, Header, HTTPException, Path
from platform_events import EventPublisher, UserActivity
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from fastapi_service.cache import Cache
from fastapi_service.config import Config
from fastapi_service.database import Database
from fastapi_service.integrations import ProjectIntegrations
from fastapi_service.management import Actor, ManagementClient
from fastapi_service.models import Project
from fastapi_service.progress import ProgressHub
from fastapi_service.registry import RegistryClient
from fastapi_service.run_store import RunStore
from fastapi_service.runner import Runner

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Resources:
    """Everything that lives as long as the application.

    Args:
        config: The configuration.
        database: The database.
        cache: The cache.
        management: The management service.
        management_http: The client that asks it.
        registry: The outside service.
        registry_http: The client that asks it.
        integrations: What projects use outside.
        runs: The runs in the database.
        runner: Works runs off.
        progress: Tells how runs are getting on.
        publisher: Where domain events go.
        monitors: How many monitors are connected.
    """

    config: Config
    database: Database
    cache: Cache
    management: ManagementClient
    management_http: httpx.AsyncClient
    registry: RegistryClient
    registry_http: httpx.AsyncClient
    integrations: ProjectIntegrations
    runs: RunStore
    runner: Runner
    progress: ProgressHub
    publisher: EventPublisher
    monitors: int = 0


def resources_of(connection: HTTPConnection) -> Resources:
    """Return the resources of the application that serves a request or a WebSocket."""
    return cast(Resources, connection.app.state.resources)


ResourcesDep = Annotated[Resources, Depends(resources_of)]


RowId = Annotated[int, Path(ge=1, le=2**31 - 1)]
"""A number in a path that can be a row's: databases refuse larger ones with an error."""


async def _session(resources: ResourcesDep) -> AsyncIterator[AsyncSession]:
    async with resources.database.session() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(_session)]


async def _actor(
    resources: ResourcesDep, x_user: Annotated[str | None, Header(max_length=60)] = None
) -> Actor:
    # The proxy in front has authenticated the user; a name is a name, and never a path.
    return await resources.management.actor(x_user if x_user and x_user.replace("-", "").isalnum() else None)


ActorDep = Annotated[Actor, Depends(_actor)]


async def _project(slug: Annotated[str, Path(max_length=60)], session: SessionDep) -> Project:
    project = await session.scalar(select(Project).where(Project.slug == slug))
    if project is None:
        raise HTTPException(404, f"no project {slug!r}")
    # The read is over: the connection goes back to the pool before anything else is waited for.
    await session.commit()
    return project


ProjectDep = Annotated[Project, Depends(_project)]


def record_activity(resources: Resources, actor: Actor, action: str) -> None:
    """Publish and log that a user did something.

    Args:
        resources: The application's resources.
        actor: Who.
        action: What; one of a small fixed set.
    """
    logger.info("%s by a user of type %s", action, actor.user_type)
    resources.publisher.publish(
        UserActivity(action=action, user_type=actor.user_type, user_id=actor.username)
    )
