"""Checks of caches."""

import os
from typing import TYPE_CHECKING, Any

from ansflow_instrumentation.health.checks import Check

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

__all__ = ["django_cache_check", "redis_check"]

PROBED_KEY = "ansflow-health"
"""Is never there."""


def redis_check(
    client: "Redis | AsyncRedis", *, name: str = "cache", critical: bool = False, ready: bool = True
) -> Check:
    """Check a Redis by a `PING` through a client's connections.

    Args:
        client: redis-py's, sync or async.
        name: As for `Check`.
        critical: As for `Check`.
        ready: As for `Check`.

    Returns:
        The check.
    """
    is_async = any(kind.__module__.startswith("redis.asyncio") for kind in type(client).__mro__)
    pinged: Any = client  # the type of `ping` says that it may return either, for both kinds of client

    async def ping_async() -> None:
        await pinged.ping()

    def ping() -> None:
        pinged.ping()

    return Check(name, ping_async if is_async else ping, critical, ready, "datastore")


def django_cache_check(
    alias: str = "default", *, name: str = "cache", critical: bool = False, ready: bool = True
) -> Check:
    """Check one of Django's caches by touching a key that is not there.

    That asks the cache that is written to, changes nothing, and is no miss in its meters.

    Args:
        alias: The entry of `CACHES`.
        name: As for `Check`.
        critical: As for `Check`.
        ready: As for `Check`.

    Returns:
        The check.
    """
    # Django keeps a cache a thread. Each check is a new thread, and would leave a pool of connections behind.
    kept: dict[int, Any] = {}

    def touch() -> None:
        from django.core.cache import caches

        pid = os.getpid()
        if pid not in kept:
            kept.clear()
            kept[pid] = caches.create_connection(alias)
        kept[pid].touch(PROBED_KEY)

    return Check(name, touch, critical, ready, "datastore")
