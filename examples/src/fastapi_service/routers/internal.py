"""What the management service asks for. Nothing here calls it back, or the two could wait for each other."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from fastapi_service.models import Pipeline, Run
from fastapi_service.resources import ProjectDep, SessionDep
from fastapi_service.schemas import RunOut

router = APIRouter(prefix="/internal", tags=["internal"])


@router.get("/projects/{slug}/runs")
async def latest_runs(
    project: ProjectDep, session: SessionDep, limit: Annotated[int, Query(ge=1, le=50)] = 5
) -> list[RunOut]:
    runs = await session.scalars(
        select(Run)
        .join(Pipeline, Run.pipeline_id == Pipeline.id)
        .where(Pipeline.project_id == project.id)
        .order_by(Run.created_at.desc())
        .limit(limit)
    )
    return [RunOut.model_validate(run) for run in runs]
