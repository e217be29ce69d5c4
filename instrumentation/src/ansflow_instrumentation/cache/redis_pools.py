"""The connections of redis-py's pools.

Django makes a pool for each thread or request that uses a cache, and each client has one of its own, so the
pools that lead to one database are reported as one.
"""

import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any

from ansflow_instrumentation.cache.redis_calls import database_of_pool
from ansflow_instrumentation.database.pools import ObservedPool, Pools, Usage
from ansflow_instrumentation.database.queries import Database
from ansflow_instrumentation.survive import survive

__all__ = ["forget_pools", "observing"]

UNLIMITED = 2**31
"""What redis-py before 8 takes for no limit."""

Function = Callable[..., Any]


def observing(pools: Pools) -> Callable[[Function], Function]:
    """Make a replacement for a pool's `__init__`.

    Args:
        pools: Takes the pools.

    Returns:
        What makes the replacement from the original.
    """

    def make(initialise: Function) -> Function:
        def initialise_observed(pool: Any, *args: Any, **kwargs: Any) -> None:
            initialise(pool, *args, **kwargs)
            with survive("Observing a pool of redis-py"):
                _observe(pool, pools)

        return initialise_observed

    return make


def forget_pools(pools: Pools) -> None:
    """Observe no pool of redis-py any more.

    Args:
        pools: Has them.
    """
    pools.forget(_RedisPools)
    _by_database.clear()


class _RedisPools(ObservedPool):
    """The pools that lead to one database.

    Args:
        target: The database.
    """

    def __init__(self, target: Database) -> None:
        self._target = target
        self._pools: dict[int, tuple[weakref.ref[Any], int]] = {}

    def add(self, pool: Any) -> bool:
        """Take a pool.

        Args:
            pool: Of redis-py.

        Returns:
            Whether it is the only one.
        """
        key = id(pool)
        self._pools[key] = (weakref.ref(pool, lambda _: self._pools.pop(key, None)), os.getpid())
        return len(self._pools) == 1

    @property
    def is_gone(self) -> bool:
        """Whether all have been collected as garbage."""
        return not self._pools

    def database(self) -> Database:
        """Give the database."""
        return self._target

    def usage(self) -> Usage:
        """Give the connections of all pools; those that a forked child inherited are none of its."""
        used = idle = limit = 0
        for pool in self._alive():
            of_pool_used, of_pool_idle = _connections(pool)
            used, idle = used + of_pool_used, idle + of_pool_idle
            limit += getattr(pool, "max_connections", None) or UNLIMITED
        return Usage(used, idle, limit if limit < UNLIMITED else None)

    def survives_fork(self) -> bool:
        """Stay: a pool of threads is the child's own from its next use on."""
        return True

    def _alive(self) -> Iterator[Any]:
        for reference, pid in list(self._pools.values()):
            pool = reference()
            # Those of threads notice a fork, and begin again; the others are their process's.
            if pool is not None and getattr(pool, "pid", pid) == os.getpid():
                yield pool


_by_database: dict[Database, _RedisPools] = {}
_lock = Lock()


def _observe(pool: Any, pools: Pools) -> None:
    target = database_of_pool(pool)
    with _lock:
        observed = _by_database.setdefault(target, _RedisPools(target))
        if observed.add(pool):
            pools.add(observed)


def _renew_lock() -> None:
    global _lock  # another thread of the parent's may have held it
    _lock = Lock()


def _connections(pool: Any) -> tuple[int, int]:
    """Count a pool's connections: handed out, and open and waiting."""
    in_use = getattr(pool, "_in_use_connections", None)
    queue = getattr(getattr(pool, "pool", None), "queue", None)
    if queue is not None:  # the blocking one of threads, which does not know what it has handed out
        waiting = [connection for connection in list(queue) if connection is not None]
        return len(list(pool._connections)) - len(waiting), _open(waiting)
    return len(in_use or ()), _open(list(pool._available_connections))


def _open(connections: Iterable[Any]) -> int:
    return sum(
        bool(connection.is_connected)
        if hasattr(connection, "is_connected")
        else getattr(connection, "_sock", None) is not None
        for connection in connections
    )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
