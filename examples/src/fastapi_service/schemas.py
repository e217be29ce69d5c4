"""What the API takes and gives."""

from datetime import datetime
from typing import Annotated

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, StringConstraints

from fastapi_service.models import IntegrationKind, PipelineKind, RunResult, RunState

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$")]
Branch = Annotated[str, StringConstraints(pattern=r"^[\w./-]{1,100}$")]
Stage = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class Stored(BaseModel):
    """Base of what is read from the database."""

    model_config = ConfigDict(from_attributes=True)


class ProjectIn(BaseModel):
    """A project to be created."""

    slug: Slug
    name: str = Field(min_length=1, max_length=120)
    repository_url: AnyHttpUrl
    default_branch: Branch = "main"
    owner: Slug


class ProjectChange(BaseModel):
    """What can be changed about a project; absent fields stay."""

    name: str | None = Field(default=None, min_length=1, max_length=120)
    default_branch: Branch | None = None


class ProjectOut(Stored):
    """A project."""

    slug: str
    name: str
    repository_url: str
    default_branch: str
    owner: str
    created_at: datetime


class Owner(BaseModel):
    """A user, as the management service knows them."""

    username: str
    display_name: str
    user_type: str


class ProjectDetail(ProjectOut):
    """A project with its owner's details; `None` where the management service does not answer."""

    owner_details: Owner | None


class ProjectStats(BaseModel):
    """Counts of a project's finished runs."""

    project: str
    runs_by_result: dict[str, int]
    success_share: float | None
    mean_duration_s: float | None


class PipelineIn(BaseModel):
    """A pipeline to be created."""

    name: Slug
    kind: PipelineKind = PipelineKind.PIPELINE
    stages: list[Stage] = Field(min_length=1, max_length=10)
    enabled: bool = True


class PipelineChange(BaseModel):
    """What can be changed about a pipeline; absent fields stay."""

    stages: list[Stage] | None = Field(default=None, min_length=1, max_length=10)
    enabled: bool | None = None


class PipelineOut(Stored):
    """A pipeline."""

    id: int
    project: str
    name: str
    kind: PipelineKind
    stages: list[str]
    enabled: bool
    created_at: datetime


class RunIn(BaseModel):
    """A run to be created."""

    branch: Branch | None = Field(default=None, description="the project's default branch where absent")
    start: bool = Field(default=True, description="queue it at once")


class RunOut(Stored):
    """A run."""

    id: str
    pipeline_id: int
    branch: str
    triggered_by: str | None
    state: RunState
    stage: str | None
    result: RunResult | None
    error_type: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None


class IntegrationIn(BaseModel):
    """An integration to be created."""

    name: Slug
    kind: IntegrationKind
    target: str = Field(min_length=1, max_length=100, description="the registry's folder or the channel")
    enabled: bool = True


class IntegrationOut(Stored):
    """An integration."""

    id: int
    name: str
    kind: IntegrationKind
    target: str
    enabled: bool
    last_status: str | None
    last_checked_at: datetime | None


class IntegrationCheck(BaseModel):
    """What a try of an integration gave."""

    id: int
    status: str
    detail: str | None


class Snapshot(BaseModel):
    """The state of the platform at a moment, for monitors."""

    time: datetime
    runs_by_state: dict[str, int]
    active_runs: int
    projects: int
    monitors: int
