"""The connections of psycopg, and the pools that psycopg_pool makes of them."""

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ansflow_instrumentation.database.pools import ObservedPool, Pools, Usage
from ansflow_instrumentation.database.queries import Database, database
from ansflow_instrumentation.patches import Patches

__all__ = ["database_of", "forget_pools", "patch_pools"]

Function = Callable[..., Any]

_DATABASE = "_ansflow_database"
"""Attribute of a connection: its database."""

_UNKNOWN = database("postgresql")


def database_of(connection: Any) -> Database:
    """Give the database of a connection.

    Args:
        connection: Of psycopg.

    Returns:
        Its database, which is remembered with it; one without a name if it cannot be asked any more.
    """
    known: Database | None = getattr(connection, _DATABASE, None)
    if known is None:
        with suppress(Exception):  # one that is closed cannot be asked any more
            info = connection.info
            known = database("postgresql", info.dbname, info.host, info.port)
            setattr(connection, _DATABASE, known)
    return known or _UNKNOWN


def patch_pools(psycopg_pool: Any, patches: Patches, pools: Pools) -> None:
    """Observe every pool that is made from now on.

    Args:
        psycopg_pool: The module.
        patches: Takes what is replaced.
        pools: Takes the pools.
    """
    for pool_class in (psycopg_pool.ConnectionPool, psycopg_pool.AsyncConnectionPool):
        observations: weakref.WeakKeyDictionary[Any, _PsycopgPool] = weakref.WeakKeyDictionary()
        is_async = pool_class is psycopg_pool.AsyncConnectionPool
        patches.replace(pool_class, "__init__", _observing(pools, observations))
        patches.replace(pool_class, "getconn", _lending(observations, is_async=is_async))
        patches.replace(pool_class, "putconn", _returning(observations, is_async=is_async))


def forget_pools(pools: Pools) -> None:
    """Observe no pool of psycopg_pool any more.

    Args:
        pools: Has them.
    """
    pools.forget(_PsycopgPool)


Observations = weakref.WeakKeyDictionary[Any, "_PsycopgPool"]


def _observing(pools: Pools, observations: Observations) -> Callable[[Function], Function]:
    def make(initialise: Function) -> Function:
        def initialise_observed(pool: Any, *args: Any, **kwargs: Any) -> None:
            observed = observations[pool] = _PsycopgPool(pool)  # initialising may open it
            pools.add(observed)
            initialise(pool, *args, **kwargs)

        return initialise_observed

    return make


def _lending(observations: Observations, *, is_async: bool) -> Callable[[Function], Function]:
    def make(getconn: Function) -> Function:
        def get_observed(pool: Any, *args: Any, **kwargs: Any) -> Any:
            connection = getconn(pool, *args, **kwargs)
            if pool in observations:
                observations[pool].lend(connection)
            return connection

        async def get_observed_async(pool: Any, *args: Any, **kwargs: Any) -> Any:
            connection = await getconn(pool, *args, **kwargs)
            if pool in observations:
                observations[pool].lend(connection)
            return connection

        return get_observed_async if is_async else get_observed

    return make


def _returning(observations: Observations, *, is_async: bool) -> Callable[[Function], Function]:
    def make(putconn: Function) -> Function:
        def put_observed(pool: Any, conn: Any) -> Any:
            if pool in observations:
                observations[pool].take_back(conn)
            return putconn(pool, conn)

        return put_observed  # what an asynchronous one returns is awaited by its caller

    return make


class _PsycopgPool(ObservedPool):
    """A pool of psycopg_pool's.

    Its own statistics count connections that it has not made yet, or cannot make, so those that are handed
    out are remembered.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = weakref.ref(pool)
        self._lent: weakref.WeakSet[Any] = weakref.WeakSet()
        self._database: Database | None = None

    def lend(self, connection: Any) -> None:
        self._lent.add(connection)

    def take_back(self, connection: Any) -> None:
        self._lent.discard(connection)

    @property
    def is_gone(self) -> bool:
        return self._pool() is None

    def database(self) -> Database | None:
        if self._database is None:
            pool = self._pool()
            for connection in (*self._lent, *(() if pool is None else tuple(pool._pool))):
                if not connection.closed:
                    self._database = database_of(connection)
                    break
        return self._database

    def usage(self) -> Usage | None:
        pool = self._pool()
        if pool is None or getattr(pool, "_closed", True):
            return None  # not open yet, or not any more
        return Usage(len(self._lent), len(pool._pool), pool.max_size or None)

    def survives_fork(self) -> bool:
        """Forget an open one in a child, which has not the threads or the loop that it runs in."""
        return self.usage() is None
