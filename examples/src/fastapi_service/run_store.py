"""Reads and writes runs: each change of state is one statement, so that two of them cannot both win."""

from datetime import datetime, timedelta

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from fastapi_service.models import Pipeline, Run, RunResult, RunState, utc_now
from fastapi_service.schemas import RunOut

KEPT_RUNS = 500
"""How many finished runs of each pipeline are kept."""

_ACTIVE = (RunState.QUEUED, RunState.RUNNING)


class RunStore:
    """The runs in the database.

    Args:
        sessions: Where sessions come from.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def queue(self, run_id: str) -> bool:
        """Queue a created run.

        Args:
            run_id: The run.

        Returns:
            Whether it was waiting for that.
        """
        return await self._change(run_id, [RunState.CREATED], state=RunState.QUEUED)

    async def begin(self, run_id: str, *, now: datetime) -> bool:
        """Let a queued run begin.

        Args:
            run_id: The run.
            now: When.

        Returns:
            Whether it was queued.
        """
        return await self._change(run_id, [RunState.QUEUED], state=RunState.RUNNING, started_at=now)

    async def enter_stage(self, run_id: str, stage: str) -> None:
        """Note the stage a run is in.

        Args:
            run_id: The run.
            stage: The stage's name.
        """
        await self._change(run_id, [RunState.RUNNING], stage=stage)

    async def finish(
        self, run_id: str, *, result: RunResult, error_type: str | None, now: datetime, duration_s: float
    ) -> bool:
        """Finish a run.

        Args:
            run_id: The run.
            result: How it ended.
            error_type: The kind of failure; `None` where there was none.
            now: When.
            duration_s: How long it was running, in seconds.

        Returns:
            Whether it was not finished yet.
        """
        return await self._change(
            run_id,
            [RunState.CREATED, *_ACTIVE],
            state=RunState.FINISHED,
            stage=None,
            result=result,
            error_type=error_type,
            finished_at=now,
            duration_s=duration_s,
        )

    async def get(self, run_id: str) -> RunOut | None:
        """Return a run; `None` where there is no such run."""
        async with self._sessions() as session:
            run = await session.get(Run, run_id)
            return RunOut.model_validate(run) if run else None

    async def active_in_project(self, project_id: int) -> int:
        """Return how many runs of a project are queued or running."""
        query = (
            select(func.count())
            .select_from(Run)
            .join(Pipeline, Run.pipeline_id == Pipeline.id)
            .where(Pipeline.project_id == project_id, Run.state.in_(_ACTIVE))
        )
        async with self._sessions() as session:
            return await session.scalar(query) or 0

    async def count_by_state(self) -> dict[str, int]:
        """Return how many runs there are in each state; every state is named."""
        async with self._sessions() as session:
            rows = await session.execute(select(Run.state, func.count().label("runs")).group_by(Run.state))
            return {state.value: 0 for state in RunState} | {row.state: row.runs for row in rows}

    async def pipeline_enabled(self, pipeline_id: int) -> bool:
        """Return whether a pipeline is there and enabled."""
        async with self._sessions() as session:
            return bool(await session.scalar(select(Pipeline.enabled).where(Pipeline.id == pipeline_id)))

    async def prune(self, pipeline_id: int) -> None:
        """Delete a pipeline's oldest finished runs beyond those that are kept."""
        kept = (
            select(Run.id)
            .where(Run.pipeline_id == pipeline_id)
            .order_by(Run.created_at.desc())
            .limit(KEPT_RUNS)
            .scalar_subquery()
        )
        query = delete(Run).where(
            Run.pipeline_id == pipeline_id, Run.state == RunState.FINISHED, Run.id.not_in(kept)
        )
        async with self._sessions.begin() as session:
            await session.execute(query.execution_options(synchronize_session=False))

    async def give_up_abandoned(self, *, older_than: timedelta) -> int:
        """Finish runs that a process left behind when it died.

        Args:
            older_than: What is active for longer than that is abandoned.

        Returns:
            How many there were.
        """
        now = utc_now()
        query = (
            update(Run)
            .where(Run.state.in_(_ACTIVE), Run.created_at < now - older_than)
            .values(
                state=RunState.FINISHED,
                stage=None,
                result=RunResult.ERROR,
                error_type="abandoned",
                finished_at=now,
            )
            .execution_options(synchronize_session=False)
        )
        async with self._sessions.begin() as session:
            return _rows(await session.execute(query))

    async def _change(self, run_id: str, states: list[RunState], **values: object) -> bool:
        query = (
            update(Run)
            .where(Run.id == run_id, Run.state.in_(states))
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        async with self._sessions.begin() as session:
            return _rows(await session.execute(query)) == 1


def _rows(result: object) -> int:
    if not isinstance(result, CursorResult):
        raise TypeError(f"expected the result of a changing statement, got {type(result).__name__}")
    return result.rowcount
