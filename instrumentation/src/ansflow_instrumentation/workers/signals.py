"""SIGTERM's default action ends a process without `atexit`: here it waits for what is buffered.

uvicorn, gunicorn's UvicornWorker and Daphne (Twisted) shut down gracefully, put back what handled SIGTERM
before them, or its default action, and raise it again; `manage.py runserver --noreload` and plain programs
never handle it. So the default action itself is replaced, whoever asks for it and however late. Who asks
what handles SIGTERM is told that it is the default, as ever; the process ends by the signal, as ever.

As with any handler in Python, the main thread runs it: a call into C that does not return holds it up.
"""

import functools
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from ansflow_instrumentation.workers.leaving import leave

__all__ = ["send_before_sigterm_ends_the_process"]

UNINTERRUPTIBLE = ("opentelemetry.sdk.", "ansflow_instrumentation.recording.", "logging")
"""Modules that hold locks which sending needs as well; they are let through before."""

INIT = 1
"""The first process of a container: SIGTERM's default action does nothing there, so it does not end by it."""

RETRY_S = 0.005
RETRIES = 200


def send_before_sigterm_ends_the_process() -> None:
    """Replace SIGTERM's default action, now and whenever it is set again."""
    set_handler: Any = signal.signal
    get_handler: Any = signal.getsignal
    tries = 0

    def end(signum: int, frame: FrameType | None) -> None:
        nonlocal tries
        if os.getpid() == INIT:
            return
        if tries < RETRIES and _holds_locks(frame):
            tries += 1
            threading.Thread(target=_raise_again, args=(signum,), daemon=True).start()
            return
        try:
            leave(in_signal_handler=True)
        finally:
            set_handler(signum, signal.SIG_DFL)
            signal.raise_signal(signum)

    def as_seen(handler: Any) -> Any:
        return signal.SIG_DFL if handler is end else handler

    @functools.wraps(set_handler)
    def set_handler_but_default(signalnum: int, handler: Any) -> Any:
        is_default = signalnum == signal.SIGTERM and handler == signal.SIG_DFL
        return as_seen(set_handler(signalnum, end if is_default else handler))

    @functools.wraps(get_handler)
    def get_handler_as_set(signalnum: int) -> Any:
        return as_seen(get_handler(signalnum))

    if get_handler(signal.SIGTERM) == signal.SIG_DFL:
        set_handler(signal.SIGTERM, end)
    signal.signal = set_handler_but_default
    signal.getsignal = get_handler_as_set


def _holds_locks(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(UNINTERRUPTIBLE):
            return True
        frame = frame.f_back
    return False


def _raise_again(signum: int) -> None:
    time.sleep(RETRY_S)
    os.kill(os.getpid(), signum)
