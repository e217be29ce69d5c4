"""Regular expressions in the environment: one that is mistyped is dropped at the start.

OpenTelemetry's helpers compile them while a request is handled, where each bad one would be an exception.
"""

import logging
import re
from collections.abc import Iterator, MutableMapping

__all__ = ["drop_bad_expressions"]

SANITIZE_VARIABLE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS"
"""Headers whose values are hidden; a mistyped one hides all, as nobody knows which were meant."""

_VARIABLE = re.compile(
    r"OTEL_PYTHON_(?:\w+_)?EXCLUDED_URLS"
    r"|OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_(?:(?:SERVER|CLIENT)_(?:REQUEST|RESPONSE)|SANITIZE_FIELDS)"
)
"""Variables that are comma-separated lists of regular expressions."""

_EVERYTHING = ".*"

_logger = logging.getLogger(__name__)


def drop_bad_expressions(env: MutableMapping[str, str]) -> None:
    """Take what is no regular expression out of the variables that have lists of them; a warning each.

    `*` alone is meant as `.*`. A variable of which nothing is left is removed, so that its default applies.

    Args:
        env: The process's environment, changed in place.
    """
    for variable in sorted(filter(_VARIABLE.fullmatch, env)):
        items = [item.strip() for item in env[variable].split(",")]
        kept = list(_kept(variable, items))
        if kept == items:
            continue
        if any(items) and not kept:
            del env[variable]
        else:
            env[variable] = ",".join(kept)


def _kept(variable: str, items: list[str]) -> Iterator[str]:
    kept: list[str] = []
    for item in filter(None, items):
        expression = _EVERYTHING if item == "*" else item
        problem = _problem_of(expression) or _problem_of("|".join([*kept, expression]))
        if problem is not None:
            hides_all = variable == SANITIZE_VARIABLE
            _logger.warning(
                "%s: %r is ignored%s; expected a regular expression (%s)",
                variable,
                item,
                ", and every captured header is hidden" if hides_all else "",
                problem,
            )
            if not hides_all:
                continue
            expression = _EVERYTHING
        kept.append(expression)
        yield expression


def _problem_of(expression: str) -> str | None:
    """Say what is wrong with an expression; those of a list are compiled as one, joined by `|`."""
    try:
        re.compile(expression)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error) or type(error).__name__
    return None
