"""The registry's HTTP API, with the latency and the failures of a service that is far away."""

import asyncio
import math
import random
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, Field

_KEPT_ARTIFACTS = 1000
"""How many artifacts the registry remembers; the oldest are forgotten."""


class Artifact(BaseModel):
    """An artifact as it is registered."""

    project: str = Field(min_length=1, max_length=100)
    name: str = Field(min_length=1, max_length=200)
    run_id: str = Field(min_length=1, max_length=64)
    size_bytes: int = Field(ge=0)


class RegisteredArtifact(Artifact):
    """An artifact as it is kept."""

    id: str


class Notification(BaseModel):
    """A message to a channel."""

    channel: str = Field(min_length=1, max_length=100)
    text: str = Field(min_length=1, max_length=2000)


@dataclass(slots=True)
class Conditions:
    """The weather between here and there.

    Args:
        error_share: The share of requests that fail, 0 to 1.
        median_latency_s: The median time a request takes, in seconds; 0 for none.
        chance: Where chance comes from; seeded for the same sequence each time.
    """

    error_share: float
    median_latency_s: float
    chance: random.Random = field(default_factory=random.Random)

    async def pass_through(self) -> None:
        """Take a while, with a long tail as networks have, and sometimes fail.

        Raises:
            HTTPException: 503 or 429, both with Retry-After.
        """
        if self.median_latency_s:
            latency_s = self.chance.lognormvariate(math.log(self.median_latency_s), 0.5)
            await asyncio.sleep(min(latency_s, 20 * self.median_latency_s))
        if self.chance.random() < self.error_share:
            status = self.chance.choice([HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS])
            raise HTTPException(status, "try again later", headers={"Retry-After": "1"})


def build_app(conditions: Conditions) -> FastAPI:
    """Return the registry's application.

    Args:
        conditions: How long requests take and how many of them fail.

    Returns:
        An ASGI application whose state lives as long as it does.
    """
    app = FastAPI(title="Artifact registry")
    artifacts: OrderedDict[str, RegisteredArtifact] = OrderedDict()
    far_away = [Depends(conditions.pass_through)]

    @app.get("/v1/status")
    async def status() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/artifacts", status_code=201, dependencies=far_away)
    async def register(artifact: Artifact) -> RegisteredArtifact:
        registered = RegisteredArtifact(id=uuid.uuid4().hex, **artifact.model_dump())
        artifacts[registered.id] = registered
        if len(artifacts) > _KEPT_ARTIFACTS:
            artifacts.popitem(last=False)
        return registered

    @app.get("/v1/artifacts/{artifact_id}", dependencies=far_away)
    async def artifact(artifact_id: str) -> RegisteredArtifact:
        if artifact_id not in artifacts:
            raise HTTPException(404, "no such artifact")
        return artifacts[artifact_id]

    @app.post("/v1/notifications", status_code=202, dependencies=far_away)
    async def notify(notification: Notification) -> dict[str, str]:
        return {"id": uuid.uuid4().hex, "channel": notification.channel}

    return app
