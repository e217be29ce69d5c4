"""Projects."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from fastapi_service.management import ManagementUnavailableError
from fastapi_service.models import Pipeline, Project, Run, RunResult, RunState
from fastapi_service.resources import ActorDep, ProjectDep, ResourcesDep, SessionDep, record_activity
from fastapi_service.schemas import ProjectChange, ProjectDetail, ProjectIn, ProjectOut, ProjectStats

router = APIRouter(prefix="/api/v1/projects", tags=["projects"])

_STATS_TTL_S = 5.0


@router.get("")
async def list_projects(
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> list[ProjectOut]:
    projects = await session.scalars(select(Project).order_by(Project.slug).limit(limit).offset(offset))
    return [ProjectOut.model_validate(project) for project in projects]


@router.post("", status_code=201)
async def create_project(
    body: ProjectIn, session: SessionDep, resources: ResourcesDep, actor: ActorDep, response: Response
) -> ProjectOut:
    try:
        owner = await resources.management.user(body.owner)
    except ManagementUnavailableError as error:
        raise HTTPException(503, "the owner cannot be looked up now", headers={"Retry-After": "5"}) from error
    if owner is None:
        raise HTTPException(422, f"owner: no user {body.owner!r}")
    project = Project(**body.model_dump(mode="json"))
    session.add(project)
    try:
        await session.commit()
    except IntegrityError as error:
        raise HTTPException(409, f"project {body.slug!r} exists") from error
    record_activity(resources, actor, "project_created")
    response.headers["Location"] = f"/api/v1/projects/{project.slug}"
    return ProjectOut.model_validate(project)


@router.get("/{slug}")
async def get_project(project: ProjectDep, resources: ResourcesDep) -> ProjectDetail:
    try:
        owner = await resources.management.user(project.owner)
    except ManagementUnavailableError:
        owner = None
    return ProjectDetail(**ProjectOut.model_validate(project).model_dump(), owner_details=owner)


@router.patch("/{slug}")
async def change_project(
    project: ProjectDep, body: ProjectChange, session: SessionDep, resources: ResourcesDep, actor: ActorDep
) -> ProjectOut:
    for name, value in body.model_dump(exclude_none=True).items():
        setattr(project, name, value)
    await session.commit()
    record_activity(resources, actor, "project_changed")
    return ProjectOut.model_validate(project)


@router.delete("/{slug}", status_code=204)
async def delete_project(
    project: ProjectDep, session: SessionDep, resources: ResourcesDep, actor: ActorDep
) -> None:
    active = await resources.runs.active_in_project(project.id)
    if active:
        raise HTTPException(409, f"project {project.slug!r} has {active} active runs")
    await session.execute(delete(Project).where(Project.id == project.id))
    await session.commit()
    await resources.cache.delete(f"stats:{project.slug}")
    record_activity(resources, actor, "project_deleted")


@router.get("/{slug}/stats")
async def project_stats(project: ProjectDep, session: SessionDep, resources: ResourcesDep) -> ProjectStats:
    key = f"stats:{project.slug}"
    cached = await resources.cache.get(key)
    if cached is not None:
        return ProjectStats.model_validate(cached)
    rows = await session.execute(
        select(Run.result, func.count().label("runs"), func.sum(Run.duration_s).label("seconds"))
        .join(Pipeline, Run.pipeline_id == Pipeline.id)
        .where(Pipeline.project_id == project.id, Run.state == RunState.FINISHED)
        .group_by(Run.result)
    )
    runs_by_result = {result.value: 0 for result in RunResult}
    seconds = 0.0
    for row in rows:
        runs_by_result[row.result] = row.runs
        seconds += row.seconds or 0.0
    total = sum(runs_by_result.values())
    stats = ProjectStats(
        project=project.slug,
        runs_by_result=runs_by_result,
        success_share=runs_by_result[RunResult.SUCCESS] / total if total else None,
        mean_duration_s=seconds / total if total else None,
    )
    await resources.cache.set(key, stats.model_dump(), ttl_s=_STATS_TTL_S)
    return stats
