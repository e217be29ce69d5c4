"""WebSockets: the platform's monitor, and the progress of a pipeline's runs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from sqlalchemy import func, select

from fastapi_service.models import Pipeline, Project, Run, utc_now
from fastapi_service.resources import Resources, ResourcesDep, RowId
from fastapi_service.schemas import RunOut, Snapshot

logger = logging.getLogger(__name__)

router = APIRouter()

NOT_FOUND = 4404
"""The close code for a pipeline that is not there; 4000 to 4999 are for applications (RFC 6455, 7.4.2)."""

_RECENT_RUNS = 5


@router.websocket("/ws/monitor")
async def monitor(
    websocket: WebSocket,
    resources: ResourcesDep,
    interval_s: Annotated[float, Query(ge=0.1, le=60)] = 1.0,
) -> None:
    """Send a snapshot of the platform's state at once and then at each interval."""
    await websocket.accept()
    resources.monitors += 1
    try:
        async with _closed(websocket) as closed:
            while not closed.done():
                await websocket.send_text((await _snapshot(resources)).model_dump_json())
                await asyncio.wait([closed], timeout=interval_s)
    except WebSocketDisconnect:
        pass  # it left while a snapshot was on its way
    finally:
        resources.monitors -= 1


@router.websocket("/ws/pipelines/{pipeline_id}")
async def pipeline_progress(websocket: WebSocket, pipeline_id: RowId, resources: ResourcesDep) -> None:
    """Send a pipeline's latest runs, oldest first, and then each run whenever it gets further."""
    await websocket.accept()
    # Listening begins before the look at the database, so that nothing happens unseen in between.
    with resources.progress.listen(pipeline_id) as queue:
        recent = await _recent(resources, pipeline_id)
        if recent is None:
            await websocket.close(NOT_FOUND, f"no pipeline {pipeline_id}")
            return
        try:
            for run in recent:
                await websocket.send_text(run.model_dump_json())
            async with _closed(websocket) as closed:
                while not closed.done():
                    arrival = asyncio.create_task(queue.get())
                    await asyncio.wait([closed, arrival], return_when=asyncio.FIRST_COMPLETED)
                    if arrival.done():
                        await websocket.send_text(arrival.result().model_dump_json())
                    else:
                        arrival.cancel()
        except WebSocketDisconnect:
            pass  # it left while something was on its way


@asynccontextmanager
async def _closed(websocket: WebSocket) -> AsyncIterator[asyncio.Task[None]]:
    """Read what the client sends, which means nothing here, until it leaves; the task is done when it has."""

    async def read() -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass

    task = asyncio.create_task(read())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _snapshot(resources: Resources) -> Snapshot:
    async with resources.database.session() as session:
        projects = await session.scalar(select(func.count()).select_from(Project)) or 0
    return Snapshot(
        time=utc_now(),
        runs_by_state=await resources.runs.count_by_state(),
        active_runs=resources.runner.active,
        projects=projects,
        monitors=resources.monitors,
    )


async def _recent(resources: Resources, pipeline_id: int) -> list[RunOut] | None:
    async with resources.database.session() as session:
        if await session.get(Pipeline, pipeline_id) is None:
            return None
        runs = await session.scalars(
            select(Run)
            .where(Run.pipeline_id == pipeline_id)
            .order_by(Run.created_at.desc())
            .limit(_RECENT_RUNS)
        )
        return [RunOut.model_validate(run) for run in reversed(runs.all())]
