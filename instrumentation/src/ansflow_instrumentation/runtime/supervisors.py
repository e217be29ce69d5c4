"""Which processes only watch over workers: gunicorn's master, those of `uvicorn --workers` and `--reload`, ….

They serve nothing, and are instances of their own: in a sum over the instances they would be workers.
"""

import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ansflow_instrumentation.import_hooks import when_imported

__all__ = ["is_supervisor", "recognise"]


def _always(*_: Any, **__: Any) -> bool:
    return True


def _has_workers(config: Any, *_: Any, **__: Any) -> bool:
    return bool(getattr(config, "workers", 0))


SUPERVISORS: tuple[tuple[str, str, Callable[..., bool]], ...] = (
    ("gunicorn.arbiter", "Arbiter.__init__", _always),
    ("uvicorn.supervisors.multiprocess", "Multiprocess.__init__", _always),
    ("uvicorn.supervisors.basereload", "BaseReload.__init__", _always),
    ("hypercorn.run", "run", _has_workers),
    ("django.utils.autoreload", "restart_with_reloader", _always),
)
"""Modules, what in them is called by a process that only watches from then on, and if it is so called."""

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
    for module, path, applies in SUPERVISORS:
        when_imported(module, functools.partial(_hook, path, applies))


def _hook(path: str, applies: Callable[..., bool], module: ModuleType) -> None:
    *owners, name = path.split(".")
    owner: Any = functools.reduce(getattr, owners, module)
    original = getattr(owner, name)
    if hasattr(original, _HOOK):
        return

    @functools.wraps(original)
    def recognised(*args: Any, **kwargs: Any) -> Any:
        global _supervisor
        if applies(*args, **kwargs):
            _supervisor = os.getpid()
        return original(*args, **kwargs)

    setattr(recognised, _HOOK, True)
    setattr(owner, name, recognised)
