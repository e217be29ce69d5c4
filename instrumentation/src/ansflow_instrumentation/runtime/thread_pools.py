"""How many threads of the pools are busy, and what waits for one.

A synchronous endpoint or view that waits for a thread is slow while the CPU is idle and the event loop is not
late; these meters tell. Nothing is noted while work is handed over: pools are asked when metrics are
collected. There are

- `anyio`: the threads of Starlette's and FastAPI's synchronous endpoints, 40 a loop by default;
- `asgiref`: those of Django's synchronous views under ASGI, one a request or one for all;
- `asyncio`: the loop's own, `asyncio.to_thread` and `run_in_executor(None, …)`, also uvloop's;
- any other `ThreadPoolExecutor`, by its `thread_name_prefix`.

What is read of anyio and of executors is private to them. Where it is not there, the pool is left out.
"""

import functools
import logging
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from opentelemetry.metrics import Meter

from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.runtime.observing import Reading, observing

__all__ = ["Usage", "read_pools", "start", "stop"]

_logger = logging.getLogger(__name__)

MAX_POOLS = 20
"""Names of pools that are told apart; further ones are `_OTHER`."""

UNNAMED = "ThreadPoolExecutor"
"""Executors without a name of their own."""

DEFAULT_EXECUTORS = ("asyncio", "uvloop")
"""The names that loops give their own executors."""

_executors: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()
"""All executors there are, by id. (A `WeakSet` must not be read while another thread adds to it.)"""

_HOOK = "_ansflow_hook"


@dataclass
class Usage:
    """What a pool does at a moment.

    Attributes:
        used: Threads that work.
        idle: Threads that wait for work.
        limit: Threads that it may have.
        queue: Calls that wait for a thread.
    """

    used: int = 0
    idle: int = 0
    limit: int = 0
    queue: int = 0

    def add(self, other: "Usage") -> None:
        """Count another pool of the same name in."""
        self.used += other.used
        self.idle += other.idle
        self.limit += other.limit
        self.queue += other.queue


def read_pools() -> dict[str, Usage]:
    """Ask all pools.

    Returns:
        Their usage by name; several of one name are summed.
    """
    pools: dict[str, Usage] = {}
    for source in (_anyio, _executor_pools):
        try:
            for name, usage in source():
                known = name if name in pools or len(pools) < MAX_POOLS else "_OTHER"
                pools.setdefault(known, Usage()).add(usage)
        except Exception:  # another version of the library, or it is changing right now
            _logger.debug("Thread pools cannot be read", exc_info=True)
    return pools


def start(meter: Meter) -> None:
    """Observe thread pools.

    Args:
        meter: Makes the instruments.
    """
    up_down = meter.create_observable_up_down_counter
    up_down("ansflow.threadpool.threads", [observing(_threads)], "{thread}", "Threads of a pool by state.")
    up_down("ansflow.threadpool.limit", [observing(_limits)], "{thread}", "Threads that a pool may have.")
    up_down("ansflow.threadpool.queue", [observing(_queues)], "{call}", "Calls that wait for a thread.")
    when_imported("concurrent.futures.thread", _note_executors)


def stop() -> None:
    """Do nothing: pools are asked by collections alone."""


def _threads() -> Iterable[Reading]:
    for name, usage in read_pools().items():
        yield usage.used, {"pool": name, "state": "used"}
        yield usage.idle, {"pool": name, "state": "idle"}


def _limits() -> Iterable[Reading]:
    return [(usage.limit, {"pool": name}) for name, usage in read_pools().items()]


def _queues() -> Iterable[Reading]:
    return [(usage.queue, {"pool": name}) for name, usage in read_pools().items()]


def _note_executors(module: ModuleType) -> None:
    executor_class = module.ThreadPoolExecutor
    initialize: Callable[..., None] = executor_class.__init__
    if hasattr(initialize, _HOOK):
        return

    @functools.wraps(initialize)
    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, *args, **kwargs)
        _executors[id(self)] = self

    setattr(noted, _HOOK, True)
    executor_class.__init__ = noted


def _executor_pools() -> Iterator[tuple[str, Usage]]:
    try:
        of_asgiref = {id(executor) for executor in _asgiref_executors()}
    except Exception:  # noqa: BLE001 # another version of asgiref
        of_asgiref = set()
    for reference in _executors.valuerefs():
        executor = reference()
        if executor is None or executor._shutdown:
            continue
        name = "asgiref" if id(executor) in of_asgiref else _pool_name(executor._thread_name_prefix)
        yield name, _usage(executor)


def _asgiref_executors() -> Iterator[Any]:
    module = sys.modules.get("asgiref.sync")
    if module is None:
        return
    yield module.SyncToAsync.single_thread_executor
    for reference in module.SyncToAsync.context_to_thread_executor.keyrefs():
        context = reference()
        if context is not None:
            yield module.SyncToAsync.context_to_thread_executor.get(context)


def _pool_name(prefix: str) -> str:
    name, _, number = prefix.rpartition("-")
    if name == UNNAMED and number.isdigit():
        return UNNAMED
    return "asyncio" if prefix in DEFAULT_EXECUTORS else prefix


def _usage(executor: Any) -> Usage:
    # A fork leaves the threads of the parent in the set, dead.
    threads = sum(thread.is_alive() for thread in list(executor._threads))
    idle = min(executor._idle_semaphore._value, threads)
    return Usage(threads - idle, idle, executor._max_workers, executor._work_queue.qsize())


def _anyio() -> Iterator[tuple[str, Usage]]:
    backend, lowlevel = sys.modules.get("anyio._backends._asyncio"), sys.modules.get("anyio.lowlevel")
    if backend is None or lowlevel is None:
        return
    for reference in lowlevel._run_vars.keyrefs():
        loop = reference()
        variables = lowlevel._run_vars.get(loop, {}) if loop is not None else {}
        limiter = variables.get(backend._default_thread_limiter)
        if limiter is None or not loop.is_running():
            continue
        idle_threads = variables.get(backend._threadpool_idle_workers) or ()
        total = limiter.total_tokens  # may be math.inf
        waiting = limiter.statistics().tasks_waiting
        yield (
            "anyio",
            Usage(limiter.borrowed_tokens, len(idle_threads), 0 if total == float("inf") else total, waiting),
        )
