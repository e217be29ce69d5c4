"""The database's tables."""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class RunState(StrEnum):
    """How far a run has come."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


class RunResult(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLATION = "cancellation"
    SKIP = "skip"


class PipelineKind(StrEnum):
    """What a pipeline is for."""

    BUILD = "build"
    TEST = "test"
    DEPLOY = "deploy"
    PIPELINE = "pipeline"


class IntegrationKind(StrEnum):
    """What an integration does."""

    REGISTRY = "registry"
    NOTIFICATION = "notification"


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone, on databases that keep zones and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def utc_now() -> datetime:
    return datetime.now(UTC)


class Base(AsyncAttrs, DeclarativeBase):
    """The tables' common base."""


class Project(Base):
    """A repository under continuous integration."""

    __tablename__ = "ci_projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    repository_url: Mapped[str] = mapped_column(String(300))
    default_branch: Mapped[str] = mapped_column(String(100), default="main")
    owner: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    pipelines: Mapped[list["Pipeline"]] = relationship(back_populates="project", passive_deletes=True)


class Pipeline(Base):
    """A sequence of stages that a project's commits go through."""

    __tablename__ = "ci_pipelines"
    __table_args__ = (UniqueConstraint("project_id", "name", name="uq_ci_pipelines_project_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("ci_projects.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(20))
    stages: Mapped[list[str]] = mapped_column(JSON)
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    project: Mapped[Project] = relationship(back_populates="pipelines", lazy="joined", innerjoin=True)


class Run(Base):
    """One passage of a commit through a pipeline."""

    __tablename__ = "ci_runs"
    __table_args__ = (
        Index("ix_ci_runs_pipeline_created", "pipeline_id", "created_at"),
        Index("ix_ci_runs_state", "state"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("ci_pipelines.id", ondelete="CASCADE"))
    branch: Mapped[str] = mapped_column(String(100))
    triggered_by: Mapped[str | None] = mapped_column(String(60))
    state: Mapped[str] = mapped_column(String(20))
    stage: Mapped[str | None] = mapped_column(String(60))
    result: Mapped[str | None] = mapped_column(String(20))
    error_type: Mapped[str | None] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    duration_s: Mapped[float | None]


class Integration(Base):
    """A project's connection to an outside service."""

    __tablename__ = "ci_integrations"
    __table_args__ = (UniqueConstraint("project_id", "name", name="uq_ci_integrations_project_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("ci_projects.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(100))
    enabled: Mapped[bool] = mapped_column(default=True)
    last_status: Mapped[str | None] = mapped_column(String(20))
    last_checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
