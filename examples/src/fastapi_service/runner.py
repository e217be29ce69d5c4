"""Takes runs from the queue to their end, in tasks of this process."""

import asyncio
import logging
import time

from platform_events import EventPublisher, PipelineRunFinished

from fastapi_service.integrations import ProjectIntegrations
from fastapi_service.jobs import Job, Outcome
from fastapi_service.models import RunResult, utc_now
from fastapi_service.progress import ProgressHub
from fastapi_service.run_store import RunStore
from fastapi_service.simulation import Simulation

logger = logging.getLogger(__name__)


_CANCELLED = Outcome(RunResult.CANCELLATION)
_TIMED_OUT = Outcome(RunResult.TIMEOUT, "timeout")
_SKIPPED = Outcome(RunResult.SKIP)


class Runner:
    """Works runs off, a bounded number at the same time.

    Args:
        store: Where runs are.
        simulation: What the stages do.
        integrations: What runs use outside.
        progress: Tells those who watch.
        publisher: Where domain events go.
        max_parallel_runs: How many runs work at the same time.
    """

    def __init__(
        self,
        *,
        store: RunStore,
        simulation: Simulation,
        integrations: ProjectIntegrations,
        progress: ProgressHub,
        publisher: EventPublisher,
        max_parallel_runs: int,
    ) -> None:
        self._store = store
        self._simulation = simulation
        self._integrations = integrations
        self._progress = progress
        self._publisher = publisher
        self._slots = asyncio.Semaphore(max_parallel_runs)
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def active(self) -> int:
        """How many runs are queued or running in this process."""
        return len(self._jobs)

    def start(self, job: Job) -> None:
        """Work a queued run off in the background.

        Args:
            job: The run.
        """
        self._jobs[job.run_id] = job
        task = asyncio.create_task(self._run(job), name=f"run {job.run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, run_id: str) -> bool:
        """Have a run end as cancelled at the next opportunity.

        Args:
            run_id: The run.

        Returns:
            Whether it is queued or running in this process.
        """
        job = self._jobs.get(run_id)
        if job is None:
            return False
        job.cancelled.set()
        return True

    async def stop(self, deadline_s: float) -> None:
        """Cancel all runs and wait for their ends to be written down.

        Args:
            deadline_s: How long to wait.
        """
        for job in self._jobs.values():
            job.cancelled.set()
        if self._tasks:
            logger.info("cancelling %d runs", len(self._tasks))
            _, late = await asyncio.wait(set(self._tasks), timeout=deadline_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        try:
            async with self._slots:
                await self._work_off(job)
        except Exception:
            logger.exception("run %s could not be brought to its end", job.run_id)
        finally:
            del self._jobs[job.run_id]

    async def _work_off(self, job: Job) -> None:
        if not await self._store.begin(job.run_id, now=utc_now()):
            return  # its pipeline was deleted while it waited
        started = time.perf_counter()
        await self._tell(job)
        try:
            outcome = await self._stages(job)
        except Exception:
            logger.exception("run %s failed for a reason of ours", job.run_id)
            outcome = Outcome(RunResult.ERROR, "internal_error")
        duration_s = time.perf_counter() - started
        finished = await self._store.finish(
            job.run_id,
            result=outcome.result,
            error_type=outcome.error_type,
            now=utc_now(),
            duration_s=duration_s,
        )
        if not finished:
            return
        self._publisher.publish(
            PipelineRunFinished(
                run_id=job.run_id,
                pipeline=job.pipeline,
                project=job.project,
                pipeline_type=job.pipeline_type,
                result=outcome.result.value,
                duration_s=duration_s,
                error_type=outcome.error_type,
            )
        )
        await self._tell(job)
        await self._store.prune(job.pipeline_id)
        await self._integrations.announce(job, outcome)

    async def _stages(self, job: Job) -> Outcome:
        """Do the stages' work, one after the other, until one fails or the run is stopped."""
        if job.cancelled.is_set():
            return _CANCELLED
        if not await self._store.pipeline_enabled(job.pipeline_id):
            return _SKIPPED
        end = time.monotonic() + job.settings.run_timeout_s
        for work in self._simulation.plan(job.stages):
            await self._store.enter_stage(job.run_id, work.name)
            await self._tell(job)
            left_s = end - time.monotonic()
            try:
                await asyncio.wait_for(job.cancelled.wait(), min(work.seconds, left_s))
            except TimeoutError:
                if work.seconds >= left_s:
                    return _TIMED_OUT
            else:
                return _CANCELLED
            if work.error_type is not None:
                return Outcome(RunResult.FAILURE, work.error_type)
            if work.name == "publish" and not await self._integrations.register_artifact(
                job, size_bytes=self._simulation.artifact_size()
            ):
                return Outcome(RunResult.ERROR, "registry_unavailable")
        return Outcome(RunResult.SUCCESS)

    async def _tell(self, job: Job) -> None:
        run = await self._store.get(job.run_id)
        if run is not None:
            self._progress.publish(run)
