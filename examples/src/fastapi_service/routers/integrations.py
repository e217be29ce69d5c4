"""Integrations: a project's connections to the outside."""

from fastapi import APIRouter, HTTPException, Response
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from fastapi_service.models import Integration
from fastapi_service.resources import ActorDep, ProjectDep, ResourcesDep, RowId, SessionDep, record_activity
from fastapi_service.schemas import IntegrationCheck, IntegrationIn, IntegrationOut

router = APIRouter(prefix="/api/v1", tags=["integrations"])


@router.get("/projects/{slug}/integrations")
async def list_integrations(project: ProjectDep, session: SessionDep) -> list[IntegrationOut]:
    integrations = await session.scalars(
        select(Integration).where(Integration.project_id == project.id).order_by(Integration.name)
    )
    return [IntegrationOut.model_validate(integration) for integration in integrations]


@router.post("/projects/{slug}/integrations", status_code=201)
async def create_integration(
    project: ProjectDep,
    body: IntegrationIn,
    session: SessionDep,
    resources: ResourcesDep,
    actor: ActorDep,
    response: Response,
) -> IntegrationOut:
    slug = project.slug
    integration = Integration(project=project, **body.model_dump(mode="json"))
    session.add(integration)
    try:
        await session.commit()
    except IntegrityError as error:
        raise HTTPException(409, f"integration {body.name!r} exists in {slug!r}") from error
    record_activity(resources, actor, "integration_created")
    response.headers["Location"] = f"/api/v1/integrations/{integration.id}"
    return IntegrationOut.model_validate(integration)


@router.get("/integrations/{integration_id}")
async def get_integration(integration_id: RowId, session: SessionDep) -> IntegrationOut:
    integration = await session.get(Integration, integration_id)
    if integration is None:
        raise HTTPException(404, f"no integration {integration_id}")
    return IntegrationOut.model_validate(integration)


@router.post("/integrations/{integration_id}/check")
async def check_integration(
    integration_id: RowId, resources: ResourcesDep, actor: ActorDep
) -> IntegrationCheck:
    checked = await resources.integrations.check(integration_id)
    if checked is None:
        raise HTTPException(404, f"no integration {integration_id}")
    integration, problem = checked
    record_activity(resources, actor, "integration_checked")
    if problem is not None:
        raise HTTPException(502, f"integration {integration.name!r} does not work: {problem}")
    return IntegrationCheck(id=integration.id, status="working", detail=None)
