"""Uses a project's integrations: registers what runs build, and announces how they ended."""

import logging

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from fastapi_service.jobs import Job, Outcome
from fastapi_service.models import Integration, IntegrationKind, RunResult, utc_now
from fastapi_service.registry import RegistryClient, RegistryError

logger = logging.getLogger(__name__)


class ProjectIntegrations:
    """Calls the outside service on behalf of projects.

    Args:
        sessions: Where sessions come from.
        registry: The outside service.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession], registry: RegistryClient) -> None:
        self._sessions = sessions
        self._registry = registry

    async def register_artifact(self, job: Job, *, size_bytes: int) -> bool:
        """Register what a run has built in each registry of its project.

        Args:
            job: The run.
            size_bytes: The artifact's size.

        Returns:
            Whether all registries took it; true where there is none.
        """
        taken = True
        for integration in await self._enabled(job.project_id, IntegrationKind.REGISTRY):
            name = f"{integration.target}/{job.pipeline}:{job.run_id[:12]}"
            try:
                await self._registry.register_artifact(
                    project=job.project, name=name, run_id=job.run_id, size_bytes=size_bytes
                )
            except RegistryError as error:
                logger.warning("artifact of run %s was not registered: %s", job.run_id, error)
                taken = False
        return taken

    async def announce(self, job: Job, outcome: Outcome) -> None:
        """Tell the project's channels how a run ended, where its settings ask for that.

        Args:
            job: The run.
            outcome: How it ended.
        """
        wanted = job.settings.notify_on
        if wanted == "never" or (wanted == "failure" and outcome.result is RunResult.SUCCESS):
            return
        for integration in await self._enabled(job.project_id, IntegrationKind.NOTIFICATION):
            text = f"{job.project}/{job.pipeline}: {outcome.result.value} (run {job.run_id[:12]})"
            try:
                await self._registry.notify(channel=integration.target, text=text)
            except RegistryError as error:
                logger.warning("end of run %s was not announced: %s", job.run_id, error)

    async def check(self, integration_id: int) -> tuple[Integration, str | None] | None:
        """Try an integration out and note what came of it.

        Args:
            integration_id: The integration.

        Returns:
            The integration and what went wrong, if anything; `None` where there is no such integration.
        """
        async with self._sessions() as session:
            integration = await session.get(Integration, integration_id)
        if integration is None:
            return None
        problem = None
        try:
            if integration.kind == IntegrationKind.REGISTRY:
                await self._registry.register_artifact(
                    project=integration.project.slug,
                    name=f"{integration.target}/connection-check",
                    run_id="connection-check",
                    size_bytes=0,
                )
            else:
                await self._registry.notify(channel=integration.target, text="connection check")
        except RegistryError as error:
            problem = str(error)
        async with self._sessions.begin() as session:
            integration = await session.merge(integration)
            integration.last_status = "failing" if problem else "working"
            integration.last_checked_at = utc_now()
        return integration, problem

    async def _enabled(self, project_id: int, kind: IntegrationKind) -> list[Integration]:
        query = select(Integration).where(
            Integration.project_id == project_id, Integration.kind == kind, Integration.enabled
        )
        async with self._sessions() as session:
            return list(await session.scalars(query))
