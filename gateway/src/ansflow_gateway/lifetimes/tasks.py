"""Tasks that run as long as something lives."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

_LOG: Final = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def background(**running: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines as tasks by name, and cancel them in the end."""
    tasks = [asyncio.create_task(each, name=name) for name, each in running.items()]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _LOG.critical("a background task failed", exc_info=error, extra={"task": task.get_name()})
