"""A process does not end before what it has buffered is sent, or the time for that is over.

A Python process ends in one of three ways, and servers use all of them:

- by running to its end (`sys.exit`, too), where `atexit` runs: gunicorn's workers, Hypercorn, a reloader's
  child. The SDK's own handlers would do there, but without a bound: they wait for retries one signal after
  the other;
- by `os._exit`, which skips `atexit`: children of `multiprocessing`, for one;
- by a signal's default action, which skips `atexit` as well (see `signals`): uvicorn and Daphne shut down
  gracefully and then raise SIGTERM again.

Each of them comes here first. The providers are shut down side by side, in daemon threads that are left
behind at the deadline. The threads are started beforehand: since Python 3.12 none can be started at the
interpreter's end.
"""

import atexit
import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from time import monotonic, sleep  # bound here: gevent's own may not be called where a signal is handled
from types import ModuleType
from typing import Any

from opentelemetry._logs import get_logger_provider
from opentelemetry.metrics import get_meter_provider
from opentelemetry.trace import get_tracer_provider

from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.workers import identity

__all__ = [
    "FLUSH_TIMEOUT_VARIABLE",
    "flush_timeout_s",
    "keep_log_handlers_from_waiting",
    "leave",
    "send_before_every_end",
    "start_over",
    "stay_ready",
]

FLUSH_TIMEOUT_VARIABLE = "ANSFLOW_FLUSH_TIMEOUT"
"""Milliseconds, as in the SDK's own timeouts."""

DEFAULT_FLUSH_TIMEOUT_S = 3.0
"""Well within Docker's ten seconds between SIGTERM and SIGKILL, should the Collector be away."""

SILENT_FOR_S = 10.0
"""So long after one process of a service has waited in vain, the others do not wait."""

TIMEOUT_WHILE_SILENT_S = 0.1
"""Enough to keep the sums for the successor."""

POLL_S = 0.002

_logger = logging.getLogger(__name__)

_PROVIDERS: tuple[Callable[[], Any], ...] = (get_tracer_provider, get_meter_provider, get_logger_provider)


class _Departure:
    """The end of one process: what is waiting for it, and until when it waits itself."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self._deadline: float | None = None
        self._timeout_s = 0.0
        self._pending = 0
        self._over: list[bool] = []
        for find in _PROVIDERS:
            if hasattr(find(), "shutdown"):  # an SDK's: the API's no-op and proxy providers have none
                self._pending += 1
                name = "ansflow-leaving"
                threading.Thread(target=self._shut_down, args=(find,), name=name, daemon=True).start()

    def _shut_down(self, find: Callable[[], Any]) -> None:
        with self._gate:  # until the process ends
            pass
        with survive("Sending the last telemetry"):
            provider = find()
            if getattr(provider, "_shutdown", False) is not True:  # by the application, which is fine
                provider.shutdown()
        self._over.append(True)

    def complete(self, timeout_s: float, *, in_signal_handler: bool) -> bool:
        """Wait for the providers, whoever asks and how often: a signal may interrupt `atexit`'s turn.

        By polling, since a signal handler must not wait for a lock that the code it interrupted holds.
        """
        if self._deadline is None:
            self._timeout_s = timeout_s
            self._deadline = monotonic() + timeout_s
            self._gate.release()
        while len(self._over) < self._pending:
            if monotonic() >= self._deadline:
                return False
            if in_signal_handler:
                sleep(POLL_S)
            else:
                time.sleep(POLL_S)  # gevent's, if it is: the threads are greenlets then
        return True


_departure: _Departure | None = None
_warned = False


def send_before_every_end() -> None:
    """Make `os._exit` wait for what is buffered; `atexit` follows with `stay_ready`."""
    exit_at_once = os._exit

    @functools.wraps(exit_at_once)
    def send_and_exit(status: int) -> None:
        try:
            leave()
        finally:
            exit_at_once(status)

    os._exit = send_and_exit  # type: ignore[assignment] # it does not return, but mypy cannot tell


def keep_log_handlers_from_waiting() -> None:
    """Let OpenTelemetry's log handlers flush in daemon threads.

    `logging.config` flushes the handlers that it replaces, and `logging.shutdown` all of them, in a thread
    each that is no daemon: with a Collector that does not answer, the interpreter waits for those before
    anything else at its end, ten seconds a batch.
    """
    for module in ("opentelemetry.instrumentation.logging.handler", "opentelemetry.sdk._logs._internal"):
        when_imported(module, _flush_in_daemon_thread)


def _flush_in_daemon_thread(module: ModuleType) -> None:
    def flush(handler: Any) -> None:
        force_flush = getattr(handler._logger_provider, "force_flush", None)
        if callable(force_flush):
            with contextlib.suppress(RuntimeError):  # at the interpreter's end; `leave` has been there
                threading.Thread(target=force_flush, daemon=True).start()

    module.LoggingHandler.flush = flush


def stay_ready() -> None:
    """Be ready for the process's end; called when the providers are there."""
    global _departure
    if _departure is None:
        _departure = _Departure()
        # Behind the SDK's handlers, and therefore before them.
        atexit.register(leave)


def start_over() -> None:
    """Be ready in a forked child, where the threads are gone."""
    global _departure, _warned
    _warned = False
    if _departure is not None:
        _departure = _Departure()


def leave(*, in_signal_handler: bool = False) -> None:
    """Shut the providers down, within the bound; whoever comes first, once a process.

    Args:
        in_signal_handler: Whether a signal is being handled.
    """
    global _warned
    departure = _departure
    if departure is None:
        return
    with survive("Sending the last telemetry"):
        timeout_s = flush_timeout_s(os.environ)
        if identity.collector_was_silent(SILENT_FOR_S):
            timeout_s = min(timeout_s, TIMEOUT_WHILE_SILENT_S)
        in_time = departure.complete(timeout_s, in_signal_handler=in_signal_handler)
        for find in _PROVIDERS:
            # The SDK's own handlers would wait, without a bound, for what has been given up.
            if shutdown := getattr(find(), "shutdown", None):
                atexit.unregister(shutdown)
        if not in_time and not _warned:
            _warned = True
            identity.note_silent_collector()
            _logger.warning(  # counts are not lost: the successor sends them
                "Telemetry could not all be sent within %g s; spans and logs not sent are lost",
                departure._timeout_s,
            )


def flush_timeout_s(env: Mapping[str, str]) -> float:
    """Read how long the end of a process may take.

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
