"""A cache of JSON values, in this process's memory or in Redis; when it fails, it misses."""

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from ansflow_instrumentation.health import Check, redis_check
from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class Cache(Protocol):
    """Where values are kept for a while."""

    async def get(self, key: str) -> object | None:
        """Return the value kept under a key; `None` where there is none any more."""

    async def set(self, key: str, value: object, *, ttl_s: float) -> None:
        """Keep a JSON value for `ttl_s` seconds."""

    async def delete(self, key: str) -> None:
        """Forget a key."""

    def check(self) -> Check:
        """Return the check of whether the cache answers."""

    async def close(self) -> None:
        """Let go of connections."""


class LocalCache:
    """A cache in this process's memory, bounded: the entry unused for longest goes first.

    Args:
        capacity: How many entries are kept at most.
        clock: Monotonic seconds.
    """

    def __init__(self, *, capacity: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def get(self, key: str) -> object | None:
        """Return the value kept under a key; `None` where there is none any more."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        expires, text = entry
        if self._clock() >= expires:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        value: object = json.loads(text)
        return value

    async def set(self, key: str, value: object, *, ttl_s: float) -> None:
        """Keep a JSON value for `ttl_s` seconds."""
        self._entries[key] = (self._clock() + ttl_s, json.dumps(value))
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    async def delete(self, key: str) -> None:
        """Forget a key."""
        self._entries.pop(key, None)

    def check(self) -> Check:
        """Return a check that always passes: memory answers."""

        async def answer() -> None:
            pass

        return Check("cache", answer, critical=False, component_type="datastore")

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()


class RedisCache:
    """A cache in Redis.

    Args:
        url: `redis://…` or `rediss://…`.
        prefix: What each key begins with.
    """

    def __init__(self, url: str, *, prefix: str = "fastapi:") -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=1.0, socket_connect_timeout=1.0, decode_responses=True
        )
        self._prefix = prefix

    async def get(self, key: str) -> object | None:
        """Return the value kept under a key; `None` where there is none, or where Redis does not answer."""
        try:
            text = await self._redis.get(self._prefix + key)
        except RedisError as error:
            logger.warning("cache: cannot read: %s", error)
            return None
        value: object = json.loads(text) if text is not None else None
        return value

    async def set(self, key: str, value: object, *, ttl_s: float) -> None:
        """Keep a JSON value for `ttl_s` seconds; not kept where Redis does not answer."""
        try:
            await self._redis.set(self._prefix + key, json.dumps(value), px=max(1, round(ttl_s * 1000)))
        except RedisError as error:
            logger.warning("cache: cannot write: %s", error)

    async def delete(self, key: str) -> None:
        """Forget a key; where Redis does not answer, it is forgotten when its time is up."""
        try:
            await self._redis.delete(self._prefix + key)
        except RedisError as error:
            logger.warning("cache: cannot delete: %s", error)

    def check(self) -> Check:
        """Return the check of whether Redis answers."""
        return redis_check(self._redis)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def cache_at(url: str | None) -> Cache:
    """Return the cache at an address.

    Args:
        url: Redis's address; `None` for this process's memory.

    Returns:
        The cache; nothing is connected yet.
    """
    return RedisCache(url) if url else LocalCache()
