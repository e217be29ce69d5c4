"""Which instrumentation records HTTP requests: this package's, or contrib's."""

import functools
import logging
from collections.abc import Mapping

__all__ = ["HTTP_INSTRUMENTATION_VARIABLE", "is_contrib_chosen"]

HTTP_INSTRUMENTATION_VARIABLE = "ANSFLOW_HTTP_INSTRUMENTATION"
"""`fast` (the default), or `contrib` for opentelemetry-instrumentation-fastapi and -django."""

_logger = logging.getLogger(__name__)


def is_contrib_chosen(env: Mapping[str, str]) -> bool:
    """Tell whether contrib's instrumentations are to record requests.

    Args:
        env: The process's environment.

    Returns:
        Whether they are; with a warning, and false, where the variable has neither of its values.
    """
    return _choice(env.get(HTTP_INSTRUMENTATION_VARIABLE, "")) == "contrib"


@functools.cache
def _choice(value: str) -> str:
    if value not in ("", "fast", "contrib"):
        _logger.warning(
            "%s=%r is neither 'fast' nor 'contrib'; 'fast' is used", HTTP_INSTRUMENTATION_VARIABLE, value
        )
    return value
