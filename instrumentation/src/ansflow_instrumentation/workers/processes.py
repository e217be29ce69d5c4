"""What is done for processes, and when."""

import os
import sys
import threading
from collections.abc import MutableMapping, Sequence

from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED

from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.workers import carrying, forks, identity, leaving
from ansflow_instrumentation.workers.reloader import let_the_reloader_end_gently
from ansflow_instrumentation.workers.signals import send_before_sigterm_ends_the_process

__all__ = ["care_for_processes", "is_resource_tracker", "telemetry_is_set_up"]

RESOURCE_TRACKER = "from multiprocessing.resource_tracker import main"
"""How Python starts a process of its own beside those that a program asks for."""

_cared_for = False


def care_for_processes(env: MutableMapping[str, str]) -> None:
    """Prepare this process and its children; before the SDK is set up, whose own handlers come after these.

    Args:
        env: The process's environment, changed in place.
    """
    global _cared_for
    if is_resource_tracker(sys.orig_argv):
        env.update({OTEL_SDK_DISABLED: "true", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"})
        env.pop(identity.GROUP, None)
        return
    identity.claim_identity(env, os.getpid())
    identity.register_detector(env)
    if _cared_for:
        return
    _cared_for = True
    leaving.send_before_every_end()
    leaving.keep_log_handlers_from_waiting()
    let_the_reloader_end_gently()
    if threading.current_thread() is threading.main_thread():  # nobody else may set a signal's handler
        send_before_sigterm_ends_the_process()
    if forks.is_supported():
        os.register_at_fork(after_in_child=_forked)


def telemetry_is_set_up() -> None:
    """Act on the providers, once they are there."""
    if not _cared_for:
        return
    if forks.is_supported():
        forks.sdk_can_forget()
    with survive("Carrying totals on from worker to worker"):
        carrying.carry_totals_on(get_meter_provider())
    leaving.stay_ready()


def is_resource_tracker(argv: Sequence[str]) -> bool:
    """Tell whether a process is `multiprocessing`'s resource tracker, which inherits the instrumentation.

    `uvicorn --workers` and `--reload` have one, for as long as they run: an instance that serves nothing.

    Args:
        argv: How the interpreter was called.

    Returns:
        Whether it is.
    """
    return any(argument.startswith(RESOURCE_TRACKER) for argument in argv[1:])


def _forked() -> None:
    for what, start_over in (
        ("identity", identity.start_over),
        ("sums", carrying.start_over),
        ("providers", forks.forget_the_parent),
        ("end", leaving.start_over),
    ):
        with survive(f"Preparing a forked process ({what})"):
            start_over()
