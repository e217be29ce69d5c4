"""`manage.py runserver` ends its child by a signal that the child can answer.

Django's reloader waits for its child in `subprocess.run`, which SIGTERM and Ctrl-C leave by an exception;
`subprocess.run` then kills the child (SIGKILL) on the spot, with all that it has buffered.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from ansflow_instrumentation.import_hooks import when_imported
from ansflow_instrumentation.workers.leaving import flush_timeout_s

__all__ = ["let_the_reloader_end_gently"]

GRACE_S = 2.0
"""What the child may take beside sending: as long as it needs to notice the signal, and to exit."""


def let_the_reloader_end_gently() -> None:
    """Have Django's reloader terminate its child, and wait for it as long as sending may take."""
    when_imported("django.utils.autoreload", _replace_subprocess)


def _replace_subprocess(autoreload: ModuleType) -> None:
    if autoreload.subprocess is not subprocess:
        raise TypeError(f"autoreload.subprocess is {autoreload.subprocess!r}")
    autoreload.subprocess = _Subprocess(subprocess.__name__)  # type: ignore[attr-defined]


class _Subprocess(ModuleType):
    """`subprocess`, with a `run` that ends its child gently."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    @staticmethod
    def run(
        args: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a program to its end, and end it gently if that is interrupted."""
        with subprocess.Popen(args, env=env, **options) as child:
            try:
                returncode = child.wait()
            except BaseException:
                child.terminate()
                try:
                    child.wait(flush_timeout_s(os.environ) + GRACE_S)
                except subprocess.TimeoutExpired:
                    child.kill()
                raise
        return subprocess.CompletedProcess(args, returncode)
