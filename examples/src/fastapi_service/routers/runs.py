"""Runs."""

import uuid
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response
from sqlalchemy import select

from fastapi_service.jobs import Job
from fastapi_service.models import Pipeline, Run, RunState
from fastapi_service.resources import ActorDep, Resources, ResourcesDep, SessionDep, record_activity
from fastapi_service.routers.pipelines import PipelineDep
from fastapi_service.schemas import RunIn, RunOut

router = APIRouter(prefix="/api/v1", tags=["runs"])

Limit = Annotated[int, Query(ge=1, le=100)]


@router.get("/pipelines/{pipeline_id}/runs")
async def list_runs(
    pipeline: PipelineDep, session: SessionDep, state: RunState | None = None, limit: Limit = 20
) -> list[RunOut]:
    query = select(Run).where(Run.pipeline_id == pipeline.id).order_by(Run.created_at.desc()).limit(limit)
    if state is not None:
        query = query.where(Run.state == state)
    return [RunOut.model_validate(run) for run in await session.scalars(query)]


@router.post("/pipelines/{pipeline_id}/runs", status_code=201)
async def create_run(
    pipeline: PipelineDep,
    body: RunIn,
    session: SessionDep,
    resources: ResourcesDep,
    actor: ActorDep,
    response: Response,
) -> RunOut:
    job = await _job(resources, pipeline, uuid.uuid4().hex) if body.start else None
    run = Run(
        id=job.run_id if job else uuid.uuid4().hex,
        pipeline_id=pipeline.id,
        branch=body.branch or pipeline.project.default_branch,
        triggered_by=actor.username,
        state=RunState.QUEUED if job else RunState.CREATED,
    )
    session.add(run)
    await session.commit()
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    if job:
        resources.runner.start(job)
    record_activity(resources, actor, "run_started" if job else "run_created")
    return RunOut.model_validate(run)


@router.get("/runs/{run_id}")
async def get_run(run_id: str, resources: ResourcesDep) -> RunOut:
    return await _existing(resources, run_id)


@router.post("/runs/{run_id}/start", status_code=202)
async def start_run(run_id: str, session: SessionDep, resources: ResourcesDep, actor: ActorDep) -> RunOut:
    run = await _existing(resources, run_id)
    if run.state is not RunState.CREATED:
        raise HTTPException(409, f"run is {run.state.value}")
    pipeline = await session.get_one(Pipeline, run.pipeline_id)
    await session.commit()
    job = await _job(resources, pipeline, run_id)
    if not await resources.runs.queue(run_id):
        raise HTTPException(409, "run was started by somebody else")
    resources.runner.start(job)
    record_activity(resources, actor, "run_started")
    return await _existing(resources, run_id)


@router.post("/runs/{run_id}/cancel", status_code=202)
async def cancel_run(run_id: str, resources: ResourcesDep, actor: ActorDep) -> RunOut:
    run = await _existing(resources, run_id)
    # A finished run is still the runner's for a moment, while its end is announced.
    if run.state is RunState.FINISHED or not resources.runner.cancel(run_id):
        raise HTTPException(409, f"run is {run.state.value}, there is nothing to cancel here")
    record_activity(resources, actor, "run_cancelled")
    return await _existing(resources, run_id)


async def _existing(resources: Resources, run_id: str) -> RunOut:
    run = await resources.runs.get(run_id)
    if run is None:
        raise HTTPException(404, f"no run {run_id!r}")
    return run


async def _job(resources: Resources, pipeline: Pipeline, run_id: str) -> Job:
    """Return the job for a run that is about to start.

    Raises:
        HTTPException: 409, it may not start now.
    """
    project = pipeline.project
    if not pipeline.enabled:
        raise HTTPException(409, f"pipeline {pipeline.name!r} is disabled")
    settings = await resources.management.run_settings(project.slug)
    if settings.paused:
        raise HTTPException(409, f"project {project.slug!r} is paused")
    active = await resources.runs.active_in_project(project.id)
    if active >= settings.max_concurrent_runs:
        raise HTTPException(409, f"project {project.slug!r} has {active} active runs already")
    return Job(
        run_id=run_id,
        pipeline_id=pipeline.id,
        pipeline=pipeline.name,
        pipeline_type=pipeline.kind,
        project_id=project.id,
        project=project.slug,
        stages=tuple(pipeline.stages),
        settings=settings,
    )
