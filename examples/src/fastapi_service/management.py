"""Asks the management service for users and for projects' settings."""

import logging
from dataclasses import dataclass

import httpx
from pydantic import BaseModel, Field, ValidationError

from fastapi_service.cache import Cache
from fastapi_service.schemas import Owner

logger = logging.getLogger(__name__)

_USER_TTL_S = 15.0
"""For how long a user's details are taken from the cache: changes there show here that much later."""


class ManagementUnavailableError(Exception):
    """The management service gave no usable answer."""


class RunSettings(BaseModel):
    """What the management service's settings say about a project's runs."""

    paused: bool = False
    max_concurrent_runs: int = Field(default=4, ge=1)
    run_timeout_s: float = Field(default=30.0, gt=0)
    notify_on: str = "failure"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request.

    Args:
        username: The name given; `None` where none was.
        user_type: The user's type; `anonymous` or `unknown` where it cannot be told.
    """

    username: str | None
    user_type: str


class ManagementClient:
    """The management service's internal API.

    Args:
        http: A client whose base address is the management service; the caller closes it.
        cache: Where users' details are kept for a moment.
    """

    def __init__(self, http: httpx.AsyncClient, cache: Cache) -> None:
        self._http = http
        self._cache = cache

    async def user(self, username: str) -> Owner | None:
        """Return a user's details.

        Args:
            username: The user's name.

        Returns:
            The details; `None` where there is no such user.

        Raises:
            ManagementUnavailableError: The service gave no usable answer.
        """
        key = f"user:{username}"
        cached = await self._cache.get(key)
        if cached is not None:
            return Owner.model_validate(cached)
        response = await self._get(f"/internal/users/{username}/")
        if response is None:
            return None
        try:
            owner = Owner.model_validate_json(response.content)
        except ValidationError as error:
            raise ManagementUnavailableError("unexpected answer about a user") from error
        await self._cache.set(key, owner.model_dump(), ttl_s=_USER_TTL_S)
        return owner

    async def actor(self, username: str | None) -> Actor:
        """Return who makes a request; a management service that is away does not stop the request.

        Args:
            username: The name given with the request.

        Returns:
            The user and their type.
        """
        if not username:
            return Actor(None, "anonymous")
        try:
            user = await self.user(username)
        except ManagementUnavailableError:
            return Actor(username, "unknown")
        return Actor(username, user.user_type) if user else Actor(None, "anonymous")

    async def run_settings(self, project: str) -> RunSettings:
        """Return a project's settings; the defaults where it has none, or where the service does not answer.

        Args:
            project: The project's slug.

        Returns:
            The settings that hold now.
        """
        try:
            response = await self._get(f"/internal/projects/{project}/settings/")
            return RunSettings() if response is None else RunSettings.model_validate_json(response.content)
        except (ManagementUnavailableError, ValidationError) as error:
            logger.warning("settings of %s are not to be had, using the defaults: %s", project, error)
            return RunSettings()

    async def _get(self, path: str) -> httpx.Response | None:
        try:
            response = await self._http.get(path)
        except httpx.HTTPError as error:
            raise ManagementUnavailableError(f"{type(error).__name__}: {error}") from error
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.status_code != httpx.codes.OK:
            raise ManagementUnavailableError(f"HTTP {response.status_code}")
        return response
