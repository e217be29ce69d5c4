"""Observable instruments of which one that cannot be read is left out, and the others go on."""

import logging
from collections.abc import Callable, Iterable, Mapping

from opentelemetry.metrics import CallbackOptions, Observation

from ansflow_instrumentation.runtime.supervisors import is_supervisor

__all__ = ["Reading", "observing"]

_logger = logging.getLogger(__name__)

Reading = tuple[float, Mapping[str, str | int]]
"""A value and its attributes."""


def observing(read: Callable[[], Iterable[Reading]]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Make an instrument's callback of a function that reads values.

    Args:
        read: Gives the values at this moment. Where it raises, there is no value, and one warning.

    Returns:
        The callback.
    """
    failed = False

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        nonlocal failed
        if is_supervisor():
            return []
        try:
            return [Observation(value, dict(attributes)) for value, attributes in read()]
        except Exception:
            if not failed:
                failed = True
                _logger.warning("%s cannot be read, and is left out", read.__name__, exc_info=True)
            return []

    return observe
