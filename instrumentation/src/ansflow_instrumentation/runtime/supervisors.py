"""Which processes only watch over workers: gunicorn's master, uvicorn's under `--workers` and `--reload`.

They serve nothing, and are instances of their own: in a sum over the instances they would be workers.
"""

import functools
import os
from types import ModuleType
from typing import Any

from ansflow_instrumentation.import_hooks import when_imported

__all__ = ["is_supervisor", "recognise"]

SUPERVISORS = (
    ("gunicorn.arbiter", "Arbiter"),
    ("uvicorn.supervisors.multiprocess", "Multiprocess"),
    ("uvicorn.supervisors.basereload", "BaseReload"),
)
"""Modules, and their classes: a process that makes one does nothing else until it ends."""

_HOOK = "_ansflow_hook"

_supervisor: int | None = None


def is_supervisor() -> bool:
    """Tell whether this process only watches over workers.

    Returns:
        Whether it does; a worker that it forked does not.
    """
    return _supervisor is not None and _supervisor == os.getpid()


def recognise() -> None:
    """Recognise supervisors from now on."""
    for module, name in SUPERVISORS:
        when_imported(module, functools.partial(_hook, name))


def _hook(name: str, module: ModuleType) -> None:
    supervisor: Any = getattr(module, name)
    initialize = supervisor.__init__
    if hasattr(initialize, _HOOK):
        return

    @functools.wraps(initialize)
    def recognised(self: Any, *args: Any, **kwargs: Any) -> None:
        global _supervisor
        _supervisor = os.getpid()
        initialize(self, *args, **kwargs)

    setattr(recognised, _HOOK, True)
    supervisor.__init__ = recognised
