"""How many connections each pool has, read from the pools themselves when metrics are collected.

Counting what comes and goes is how such numbers drift (a connection that is dropped, a pool that is disposed,
an event that arrives twice). So a pool is asked; once it is gone it has none, and then no series.

Source:
    https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#connection-pools
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from ansflow_instrumentation.conventions import SCHEMA_URL
from ansflow_instrumentation.database.queries import SCOPE_NAME, Database
from ansflow_instrumentation.version import __version__

__all__ = ["ObservedPool", "Pools", "Usage"]

_logger = logging.getLogger(__name__)

_registries: "dict[int, tuple[MeterProvider | None, Pools]]" = {}
"""By the provider's id, with the provider, whose id is therefore no other's."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A pool's connections.

    Attributes:
        used: Handed out.
        idle: Open and waiting.
        limit: Most that there can be; None without a limit.
    """

    used: int
    idle: int
    limit: int | None = None


_NONE = Usage(0, 0)


class ObservedPool(ABC):
    """Knows how to ask one pool. It is asked in the thread that exports, and must not keep the pool alive."""

    @property
    @abstractmethod
    def is_gone(self) -> bool:
        """Whether the pool has been closed for good, or collected as garbage."""

    @abstractmethod
    def database(self) -> Database | None:
        """Give the database that it connects to, or None as long as that is not known."""

    @abstractmethod
    def usage(self) -> Usage | None:
        """Give its connections, or None while there is nothing to tell."""

    def survives_fork(self) -> bool:
        """Tell, in a child, whether the pool is the child's as well.

        Returns:
            Whether it is asked further. One with connections is not: they are its parent's, which reports
            them.
        """
        usage = self.usage()
        return usage is None or usage.used + usage.idle == 0


class Pools:
    """The pools of all instrumentations, and the meters of them.

    Args:
        meter_provider: Where the meters go; the global one by default.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        self._lock = Lock()
        self._names: dict[ObservedPool, str | None] = {}
        self._reported: dict[str, Database] = {}
        self._has_warned = False
        meter = metrics.get_meter(SCOPE_NAME, __version__, meter_provider, schema_url=SCHEMA_URL)
        meter.create_observable_up_down_counter(
            "db.client.connection.count",
            [self._count],
            "{connection}",
            "Connections in a pool that are currently in the state described.",
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.max",
            [self._maximum],
            "{connection}",
            "Most open connections that a pool allows.",
        )

    @classmethod
    def of(cls, meter_provider: MeterProvider | None = None) -> "Pools":
        """Give the pools that report to a provider: one object, so that their names differ.

        Args:
            meter_provider: The provider; the global one by default.

        Returns:
            The same object for the same provider.
        """
        key = id(meter_provider)
        if key not in _registries:
            _registries[key] = (meter_provider, cls(meter_provider))
        return _registries[key][1]

    def add(self, pool: ObservedPool) -> None:
        """Observe a pool until it is gone.

        Args:
            pool: Knows how to ask it.
        """
        with self._lock:
            self._names[pool] = None

    def forget(self, kind: type[ObservedPool]) -> None:
        """Observe no pool of a kind any more.

        Args:
            kind: An instrumentation's.
        """
        with self._lock:
            self._names = {pool: name for pool, name in self._names.items() if not isinstance(pool, kind)}

    def forget_inherited(self) -> None:
        """Observe, in a forked child, only what is the child's own."""
        self._lock = Lock()  # another thread may have held it
        self._reported = {}
        self._names = {pool: None for pool in self._names if not pool.is_gone and _survives_fork(pool)}

    def _count(self, _: CallbackOptions) -> Iterable[Observation]:
        reported = {name: (database, usage) for name, database, usage in self._read()}
        # One that is gone has none: said once, since what is not said any more is kept by who heard it last.
        ended = {name: (database, _NONE) for name, database in self._reported.items() if name not in reported}
        self._reported = {name: database for name, (database, _) in reported.items()}
        for name, (database, usage) in (*reported.items(), *ended.items()):
            for state, connections in (("used", usage.used), ("idle", usage.idle)):
                attributes = {**_attributes(name, database), "db.client.connection.state": state}
                yield Observation(connections, attributes)

    def _maximum(self, _: CallbackOptions) -> Iterable[Observation]:
        for name, database, usage in self._read():
            if usage.limit is not None:
                yield Observation(usage.limit, _attributes(name, database))

    def _read(self) -> Iterator[tuple[str, Database, Usage]]:
        with self._lock:
            self._names = {pool: name for pool, name in self._names.items() if not pool.is_gone}
            pools = list(self._names)
        for pool in pools:
            try:
                database, usage = pool.database(), pool.usage()
            except Exception:
                if not self._has_warned:
                    self._has_warned = True
                    _logger.warning("A connection pool cannot be read, and is left out then", exc_info=True)
                continue
            if database is not None and usage is not None:
                yield self._name(pool, database), database, usage
            else:
                with self._lock:  # its name may be another's now
                    self._names[pool] = None

    def _name(self, pool: ObservedPool, database: Database) -> str:
        """Name a pool after its database; several of one database are numbered, so names are few."""
        with self._lock:
            name = self._names.get(pool)
            if name is None:
                taken = set(self._names.values())
                base = f"{database.system}/{database.namespace or database.address or 'unknown'}"
                name, number = base, 1
                while name in taken:
                    number += 1
                    name = f"{base}#{number}"
                self._names[pool] = name
            return name


def _attributes(name: str, database: Database) -> dict[str, str]:
    attributes = {"db.client.connection.pool.name": name, "db.system.name": database.system}
    if database.namespace is not None:
        attributes["db.namespace"] = database.namespace
    return attributes


def _survives_fork(pool: ObservedPool) -> bool:
    try:
        return pool.survives_fork()
    except Exception:
        _logger.warning("A connection pool cannot be read, and is left out", exc_info=True)
        return False


def _forget_inherited() -> None:
    for _, registry in list(_registries.values()):
        registry.forget_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)
