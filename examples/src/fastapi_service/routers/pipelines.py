"""Pipelines."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Response
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from fastapi_service.models import Pipeline, PipelineKind
from fastapi_service.resources import ActorDep, ProjectDep, ResourcesDep, RowId, SessionDep, record_activity
from fastapi_service.schemas import PipelineChange, PipelineIn, PipelineOut

router = APIRouter(prefix="/api/v1", tags=["pipelines"])


async def pipeline_of_path(pipeline_id: RowId, session: SessionDep) -> Pipeline:
    """Return the pipeline that the path names.

    Raises:
        HTTPException: 404, there is no such pipeline.
    """
    pipeline = await session.get(Pipeline, pipeline_id)
    if pipeline is None:
        raise HTTPException(404, f"no pipeline {pipeline_id}")
    # The read is over: the connection goes back to the pool before anything else is waited for.
    await session.commit()
    return pipeline


PipelineDep = Annotated[Pipeline, Depends(pipeline_of_path)]


@router.get("/projects/{slug}/pipelines")
async def list_pipelines(project: ProjectDep, session: SessionDep) -> list[PipelineOut]:
    pipelines = await session.scalars(
        select(Pipeline).where(Pipeline.project_id == project.id).order_by(Pipeline.name)
    )
    return [_out(pipeline) for pipeline in pipelines]


@router.post("/projects/{slug}/pipelines", status_code=201)
async def create_pipeline(
    project: ProjectDep,
    body: PipelineIn,
    session: SessionDep,
    resources: ResourcesDep,
    actor: ActorDep,
    response: Response,
) -> PipelineOut:
    slug = project.slug
    pipeline = Pipeline(project=project, **body.model_dump(mode="json"))
    session.add(pipeline)
    try:
        await session.commit()
    except IntegrityError as error:
        raise HTTPException(409, f"pipeline {body.name!r} exists in {slug!r}") from error
    record_activity(resources, actor, "pipeline_created")
    response.headers["Location"] = f"/api/v1/pipelines/{pipeline.id}"
    return _out(pipeline)


@router.get("/pipelines/{pipeline_id}")
async def get_pipeline(pipeline: PipelineDep) -> PipelineOut:
    return _out(pipeline)


@router.patch("/pipelines/{pipeline_id}")
async def change_pipeline(
    pipeline: PipelineDep, body: PipelineChange, session: SessionDep, resources: ResourcesDep, actor: ActorDep
) -> PipelineOut:
    for name, value in body.model_dump(exclude_none=True).items():
        setattr(pipeline, name, value)
    await session.commit()
    record_activity(resources, actor, "pipeline_changed")
    return _out(pipeline)


@router.delete("/pipelines/{pipeline_id}", status_code=204)
async def delete_pipeline(
    pipeline: PipelineDep, session: SessionDep, resources: ResourcesDep, actor: ActorDep
) -> None:
    await session.execute(delete(Pipeline).where(Pipeline.id == pipeline.id))
    await session.commit()
    record_activity(resources, actor, "pipeline_deleted")


def _out(pipeline: Pipeline) -> PipelineOut:
    return PipelineOut(
        id=pipeline.id,
        project=pipeline.project.slug,
        name=pipeline.name,
        kind=PipelineKind(pipeline.kind),
        stages=pipeline.stages,
        enabled=pipeline.enabled,
        created_at=pipeline.created_at,
    )
