"""Asks the pipeline service for runs."""

import os
from functools import cache
from http import HTTPStatus

import httpx
from django.conf import settings

_PATIENCE = httpx.Timeout(3.0, connect=1.0)


class PipelinesUnavailableError(Exception):
    """The pipeline service gave no usable answer."""


@cache
def _client() -> httpx.Client:
    return httpx.Client(base_url=settings.CONFIG.pipelines_url, timeout=_PATIENCE)


# A child of a fork must not talk through its parent's connections.
os.register_at_fork(after_in_child=_client.cache_clear)


def latest_runs(project: str, *, limit: int) -> list[dict[str, object]]:
    """Return a project's latest runs, newest first.

    Args:
        project: The project's slug.
        limit: How many at most.

    Returns:
        The runs; none for a project that the pipeline service does not know.

    Raises:
        PipelinesUnavailableError: The service gave no usable answer.
    """
    try:
        response = _client().get(f"/internal/projects/{project}/runs", params={"limit": limit})
    except httpx.HTTPError as error:
        raise PipelinesUnavailableError(f"{type(error).__name__}: {error}") from error
    if response.status_code == HTTPStatus.NOT_FOUND:
        return []
    if response.status_code != HTTPStatus.OK:
        raise PipelinesUnavailableError(f"HTTP {response.status_code}")
    try:
        runs = response.json()
    except ValueError as error:
        raise PipelinesUnavailableError("the answer is not JSON") from error
    if not isinstance(runs, list):
        raise PipelinesUnavailableError("the answer is not a list")
    return runs


def probe() -> None:
    """Ask whether the service lives; only its own process is asked, not what it depends on.

    Raises:
        httpx.HTTPError: It does not answer, or not well.
    """
    _client().get("/health/live", timeout=1.5).raise_for_status()
