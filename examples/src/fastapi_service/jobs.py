"""What is worked off, and how it ends."""

import asyncio
from dataclasses import dataclass, field

from fastapi_service.management import RunSettings
from fastapi_service.models import RunResult


@dataclass(frozen=True, slots=True)
class Job:
    """A run to be worked off, with what has to be known about it.

    Args:
        run_id: The run.
        pipeline_id: Its pipeline.
        pipeline: The pipeline's name.
        pipeline_type: The pipeline's kind.
        project_id: The project.
        project: The project's slug.
        stages: The stages' names, in order.
        settings: The project's settings when the run was queued.
        cancelled: Set to have it cancelled.
    """

    run_id: str
    pipeline_id: int
    pipeline: str
    pipeline_type: str
    project_id: int
    project: str
    stages: tuple[str, ...]
    settings: RunSettings
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Args:
        result: The result.
        error_type: The kind of failure; `None` where there was none.
    """

    result: RunResult
    error_type: str | None = None
