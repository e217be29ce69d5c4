"""Waiting for a condition, with the last reason why it did not hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def poll_until(check: Callable[[], T], *, timeout: float = 60.0, interval: float = 0.2) -> T:
    """Call ``check`` until it raises no AssertionError, and return what it returns.

    Args:
        check: asserts what is waited for.
        timeout: seconds after which the wait is given up; a bound on a hang, not a claim of speed.
        interval: seconds between two calls.

    Raises:
        AssertionError: what the last call raised.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(interval)


async def poll_until_async(
    check: Callable[[], Awaitable[T]], *, within_s: float = 60.0, interval_s: float = 0.1
) -> T:
    """Await ``check`` until it raises no AssertionError; as ``poll_until``.

    Args:
        check: asserts what is waited for.
        within_s: seconds after which the wait is given up; a bound on a hang, not a claim of speed.
        interval_s: seconds between two calls.

    Raises:
        AssertionError: what the last call raised.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            return await check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(interval_s)
