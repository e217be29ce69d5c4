"""Sends requests, and waits for services."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx

from traffic.steps import Service, Step
from traffic.summary import Summary
from traffic.world import World

_LIMITS = httpx.Limits(
    max_connections=50,
    # Below the services' own limits: a connection that a server is just closing loses a request.
    keepalive_expiry=2.0,
)


class ServicesNotReadyError(Exception):
    """A service did not get ready in time."""


class Client:
    """A client of both services.

    Args:
        urls: The base address of each.
        world: What learns from the answers.
        summary: Where the answers are counted.
    """

    def __init__(self, urls: Mapping[Service, str], world: World, summary: Summary) -> None:
        self._http = {
            service: httpx.AsyncClient(base_url=url, timeout=15.0, limits=_LIMITS, trust_env=False)
            for service, url in urls.items()
        }
        self._world = world
        self._summary = summary

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for http in self._http.values():
            await http.aclose()

    async def send(self, step: Step) -> bool:
        """Send a request and count its answer.

        Args:
            step: The request.

        Returns:
            Whether there was an answer, of whatever status.
        """
        headers = {"X-User": step.user} if step.user else {}
        try:
            response = await self._http[step.service].request(
                step.method, step.path, json=step.body, headers=headers
            )
        except httpx.HTTPError:
            self._summary.errors[step.service] += 1
            return False
        self._summary.answered(step, response.status_code)
        if response.is_success and response.content:
            self._world.learn(step.method, step.route, response.json())
        return True

    async def wait_ready(self, *, deadline_s: float, stop: asyncio.Event) -> None:
        """Wait until both services are ready.

        Args:
            deadline_s: How long to wait.
            stop: Set to wait no longer.

        Raises:
            ServicesNotReadyError: One is not; the message says which, and why.
        """
        end = asyncio.get_running_loop().time() + deadline_s
        for service, http in self._http.items():
            while not stop.is_set():
                why = await _not_ready(http)
                if why is None:
                    break
                if asyncio.get_running_loop().time() >= end:
                    raise ServicesNotReadyError(f"{service.value} at {http.base_url} is not ready: {why}")
                await pause(0.3, stop)

    async def wait_for_runs(self, *, deadline_s: float) -> bool:
        """Wait until no run is queued or running any more.

        Args:
            deadline_s: How long to wait.

        Returns:
            Whether that is so.
        """
        end = asyncio.get_running_loop().time() + deadline_s
        while asyncio.get_running_loop().time() < end:
            try:
                report = (await self._http[Service.FASTAPI].get("/health/")).json()
                if report["checks"]["runs:active"][0]["observedValue"] == 0:
                    return True
            except (httpx.HTTPError, ValueError, LookupError):
                pass  # it may be restarting: the deadline decides
            await asyncio.sleep(0.3)
        return False


async def pause(seconds: float, stop: asyncio.Event) -> None:
    """Wait for a while, or until it is time to stop.

    Args:
        seconds: How long.
        stop: Set to wait no longer.
    """
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def _not_ready(http: httpx.AsyncClient) -> str | None:
    try:
        response = await http.get("/health/ready", timeout=5.0)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return None if response.status_code == httpx.codes.OK else f"HTTP {response.status_code}"
