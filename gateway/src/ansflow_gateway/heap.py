"""Full garbage collections that stay short, however much the gateway holds.

A full collection visits every container there is, with the interpreter's lock held: of 100,000 series that is
a tenth of a second, in which no event is answered, and nothing is found, since what is kept is kept on
purpose. What survived one that took long is therefore frozen, so that the next visits only what came since
(https://docs.python.org/3/library/gc.html#gc.freeze).
"""

import gc
import time
from collections.abc import Callable
from typing import Final

PAUSE_S: Final = 0.02
"""Longest full collection, in seconds, after which nothing is frozen."""

_FULL: Final = 2


def keep_collections_short(pause_s: float = PAUSE_S) -> Callable[[], None]:
    """Freeze what survives a long full collection, from now on.

    What is frozen is freed nonetheless when nobody refers to it any more, but for cycles frozen alive.

    Args:
        pause_s: How long a full collection may take, in seconds, before what it leaves is frozen.

    Returns:
        Ends it; what is frozen stays so.
    """
    started = time.perf_counter()

    def watch(phase: str, info: dict[str, int]) -> None:
        nonlocal started
        if phase == "start":
            started = time.perf_counter()
        elif info["generation"] == _FULL and time.perf_counter() - started > pause_s:
            gc.freeze()

    gc.callbacks.append(watch)
    return lambda: gc.callbacks.remove(watch)
