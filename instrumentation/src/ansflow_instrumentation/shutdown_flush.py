"""What uvicorn's last requests left in the buffers is sent before the process ends.

On SIGTERM uvicorn shuts down gracefully and then raises the signal again, which ends the process without
running `atexit`: buffered spans and the last metric interval would be lost, in `uvicorn`, `uvicorn --workers`
and under gunicorn's UvicornWorker alike. All three pass through `uvicorn.server.Server.shutdown`; a signal
handler would not do (UvicornWorker resets it). Gunicorn's own workers exit by `sys.exit`, where the SDK's
`atexit` handlers flush.
"""

import asyncio
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from opentelemetry._logs import get_logger_provider
from opentelemetry.metrics import get_meter_provider
from opentelemetry.trace import get_tracer_provider

from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.survive import survive

__all__ = ["FLUSH_TIMEOUT_VARIABLE", "flush", "flush_on_uvicorn_shutdown", "flush_timeout_s"]

FLUSH_TIMEOUT_VARIABLE = "ANSFLOW_FLUSH_TIMEOUT"
"""Milliseconds, as in the SDK's own timeouts."""

DEFAULT_FLUSH_TIMEOUT_S = 5.0
"""Half of Docker's ten seconds between SIGTERM and SIGKILL, should the Collector be away."""

_logger = logging.getLogger(__name__)


def flush_on_uvicorn_shutdown() -> None:
    """Flush all signals once uvicorn's server has shut down, in whichever process it runs."""
    when_imported("uvicorn.server", _wrap_shutdown)


def _wrap_shutdown(server: ModuleType) -> None:
    shutdown = server.Server.shutdown

    @functools.wraps(shutdown)
    async def shutdown_then_flush(*args: Any, **kwargs: Any) -> None:
        try:
            await shutdown(*args, **kwargs)
        finally:
            with survive("Flushing telemetry", passing=(asyncio.CancelledError,)):
                await _flush_beside_the_loop(flush_timeout_s(os.environ))

    server.Server.shutdown = shutdown_then_flush


async def _flush_beside_the_loop(timeout_s: float) -> None:
    # A thread of its own: those of the loop's executor may be busy with the application's work for good.
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ansflow-flush")
    try:
        await asyncio.get_running_loop().run_in_executor(executor, flush, timeout_s)
    finally:
        executor.shutdown(wait=False)


def flush_timeout_s(env: Mapping[str, str]) -> float:
    """Read how long a flush may take.

    Args:
        env: The process's environment.

    Returns:
        Seconds; the default, with a warning, where the variable is not a number of milliseconds >= 0.
    """
    value = env.get(FLUSH_TIMEOUT_VARIABLE)
    if not value:
        return DEFAULT_FLUSH_TIMEOUT_S
    if not value.isdecimal():
        _logger.warning(
            "%s=%r is not a whole number of milliseconds; %d is used",
            FLUSH_TIMEOUT_VARIABLE,
            value,
            DEFAULT_FLUSH_TIMEOUT_S * 1000,
        )
        return DEFAULT_FLUSH_TIMEOUT_S
    return int(value) / 1000


def flush(timeout_s: float) -> bool:
    """Send what the global providers have buffered, all signals at once.

    The SDK's span and log processors ignore the timeout they are given, so each flush runs in a daemon thread
    that is left behind at the deadline.

    Args:
        timeout_s: Seconds until whatever is not sent yet is given up.

    Returns:
        Whether all was over in time.
    """
    providers = (get_tracer_provider(), get_meter_provider(), get_logger_provider())
    threads = [
        threading.Thread(target=_flush_one, args=(provider.force_flush,), name="ansflow-flush", daemon=True)
        for provider in providers
        if hasattr(
            provider, "force_flush"
        )  # an SDK's provider: the API's no-op and proxy providers have none
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    in_time = not any(thread.is_alive() for thread in threads)
    if not in_time:
        _logger.warning("Telemetry could not all be sent within %g s; the rest is lost", timeout_s)
    return in_time


def _flush_one(force_flush: Callable[[], object]) -> None:
    with survive("Flushing telemetry"):
        force_flush()
