"""Calls the outside service behind the integrations: an artifact registry that also passes messages on."""

import asyncio

import httpx

_PAUSE_S = 0.2
"""Between the first and the second try."""

_WORTH_A_RETRY = frozenset({429, 502, 503, 504})


class RegistryError(Exception):
    """The outside service did not do what it was asked, after a second try."""


class RegistryClient:
    """The outside service's API.

    Args:
        http: A client whose base address is the outside service; the caller closes it.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def register_artifact(self, *, project: str, name: str, run_id: str, size_bytes: int) -> None:
        """Register what a run has built.

        Args:
            project: The project's slug.
            name: The artifact's name.
            run_id: The run that built it.
            size_bytes: Its size.

        Raises:
            RegistryError: It was not taken.
        """
        body = {"project": project, "name": name, "run_id": run_id, "size_bytes": size_bytes}
        await self._post("/v1/artifacts", body)

    async def notify(self, *, channel: str, text: str) -> None:
        """Send a message to a channel.

        Args:
            channel: The channel's name.
            text: The message.

        Raises:
            RegistryError: It was not taken.
        """
        await self._post("/v1/notifications", {"channel": channel, "text": text})

    async def _post(self, path: str, body: dict[str, object]) -> None:
        reason = await self._try(path, body)
        if reason is not None:
            await asyncio.sleep(_PAUSE_S)
            reason = await self._try(path, body)
        if reason is not None:
            raise RegistryError(reason)

    async def _try(self, path: str, body: dict[str, object]) -> str | None:
        """Return what speaks for another try; `None` where it worked.

        Raises:
            RegistryError: It did not work, and will not.
        """
        try:
            response = await self._http.post(path, json=body)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        if response.is_success:
            return None
        if response.status_code in _WORTH_A_RETRY:
            return f"HTTP {response.status_code}"
        raise RegistryError(f"HTTP {response.status_code}")
