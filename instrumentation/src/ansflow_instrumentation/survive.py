"""Telemetry must never stop the application: what fails here is one warning."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["report_once", "survive"]

_logger = logging.getLogger(__name__)

_reported: set[str] = set()


@contextmanager
def survive(action: str, *, passing: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Turn whatever the block raises into one warning, and go on.

    `SystemExit` and foreign subclasses of `BaseException` (a Rust extension's panic, for one) are caught as
    well: a library that exits at import must not take the application with it. Only Ctrl-C passes.

    Args:
        action: What is being done, as the beginning of a sentence: "Loading the 'redis' instrumentation".
        passing: Exceptions that are no failure here, and that the caller expects.

    Raises:
        KeyboardInterrupt: If the block did, as any of `passing`.
    """
    raised: tuple[type[BaseException], ...] = (KeyboardInterrupt, *passing)
    try:
        yield
    except raised:
        raise
    except BaseException as error:
        _logger.warning("%s failed; the application runs on without it: %r", action, error, exc_info=True)


def report_once(action: str) -> None:
    """Warn of the exception that is being handled, the first time that the action fails.

    For what runs in each call of the application: `try` costs it nothing, `survive` a generator.

    Args:
        action: What was being done, as for `survive`.
    """
    if action not in _reported:
        _reported.add(action)
        _logger.warning(
            "%s failed; the application runs on without it, and this is not said again", action, exc_info=True
        )
