"""Tells whoever listens how the runs of a pipeline are getting on."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi_service.schemas import RunOut

_CAPACITY = 100
"""How many messages wait for a slow listener; then the oldest goes, as each is a run's whole state."""


class ProgressHub:
    """Passes run progress on to the listeners in this process."""

    def __init__(self) -> None:
        self._listeners: defaultdict[int, set[asyncio.Queue[RunOut]]] = defaultdict(set)

    def publish(self, run: RunOut) -> None:
        """Tell the listeners of a run's pipeline its state.

        Args:
            run: The run as it is now.
        """
        for queue in self._listeners.get(run.pipeline_id, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(run)

    @contextmanager
    def listen(self, pipeline_id: int) -> Iterator[asyncio.Queue[RunOut]]:
        """Listen to a pipeline for as long as the context is open.

        Args:
            pipeline_id: The pipeline.

        Yields:
            The queue of what happens from now on.
        """
        queue: asyncio.Queue[RunOut] = asyncio.Queue(_CAPACITY)
        self._listeners[pipeline_id].add(queue)
        try:
            yield queue
        finally:
            self._listeners[pipeline_id].discard(queue)
            if not self._listeners[pipeline_id]:
                del self._listeners[pipeline_id]
