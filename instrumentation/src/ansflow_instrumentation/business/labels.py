"""Values that become labels: texts that a backend takes, and not more of them than it can bear."""

import logging
import re
import threading
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, TypeVar

__all__ = [
    "OTHER",
    "OVERFLOW",
    "SERIES_LIMIT_VARIABLE",
    "LabelSetLimiter",
    "label",
    "series_limit",
    "warn_once",
]

OTHER: Final = "_OTHER"
"""Stands for a value that is no usable text: the semantic conventions' own fallback."""

OVERFLOW: Final = "__overflow__"
"""Stands for values beyond the limit, as in the gateway's meters."""

SERIES_LIMIT_VARIABLE: Final = "ANSFLOW_BUSINESS_SERIES_LIMIT"
"""Most label sets that one instrument of the business API takes."""

DEFAULT_SERIES_LIMIT: Final = 1000
"""As the gateway's."""

LABEL_LIMIT: Final = 200
"""Longest label, in characters."""

# Controls, lone surrogates, noncharacters. A lone surrogate has no UTF-8 form: every later export would fail.
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

_logger = logging.getLogger(__name__)
_warned: set[str] = set()

KeyT = TypeVar("KeyT", bound=tuple[str, ...])


def warn_once(key: str, message: str, *arguments: object, error: BaseException | None = None) -> None:
    """Log a warning the first time only.

    Args:
        key: What is warned of; one of a small fixed set.
        message: As for `logging`.
        *arguments: As for `logging`.
        error: Its traceback is logged as well.
    """
    if key not in _warned:
        _warned.add(key)
        _logger.warning(f"{message} (said once)", *arguments, exc_info=error)  # noqa: G004 # a fixed text


def label(value: object, name: str) -> str:
    """Make a value fit to be a label; what doesn't is one warning.

    Args:
        value: Whatever the application gave.
        name: The argument's name, for the warning.

    Returns:
        The text itself where it has 1 to 200 characters and none that cannot be exported; else a text as
        near as can be, or `_OTHER`.
    """
    if isinstance(value, Enum) and not isinstance(value, str):
        value = value.value
    if not isinstance(value, str) or not value:
        warn_once(
            f"{name} type", "%s: expected a text of 1 to %d characters, got %.80r", name, LABEL_LIMIT, value
        )
        return OTHER
    text = str.__str__(value)  # of a StrEnum its value
    if len(text) <= LABEL_LIMIT and not _FORBIDDEN.search(text):
        return text
    warn_once(
        f"{name} text", "%s: cut to %d characters that can be exported: %.80r", name, LABEL_LIMIT, value
    )
    return _FORBIDDEN.sub("?", text[:LABEL_LIMIT])


def series_limit(env: Mapping[str, str]) -> int:
    """Read how many label sets one instrument takes.

    Args:
        env: The process's environment.

    Returns:
        The limit; the default, with a warning, where the variable is not a whole number >= 1.
    """
    value = env.get(SERIES_LIMIT_VARIABLE, "").strip()
    if not value:
        return DEFAULT_SERIES_LIMIT
    if value.isdecimal() and int(value) >= 1:
        return int(value)
    warn_once(
        SERIES_LIMIT_VARIABLE,
        "%s=%r: expected a whole number >= 1; %d is used",
        SERIES_LIMIT_VARIABLE,
        value,
        DEFAULT_SERIES_LIMIT,
    )
    return DEFAULT_SERIES_LIMIT


class LabelSetLimiter:
    """Admits the first `limit` label sets; later ones go to an overflow set, so that totals stay exact.

    Args:
        name: The instrument's, for the warning.
        limit: Most label sets, at least 1.
        overflow: Replaces the values that callers choose by `OVERFLOW`, keeping those of closed sets.
    """

    def __init__(self, name: str, limit: int, overflow: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
        self._name = name
        self._limit = limit
        self._overflow = overflow
        self._admitted: set[tuple[str, ...]] = set()
        self.renew_lock()

    def renew_lock(self) -> None:
        """Forget a lock that another thread may have held when the process was forked."""
        self._lock = threading.Lock()

    def admit(self, labels: KeyT) -> KeyT:
        """Decide under which labels to record; any thread may ask.

        Args:
            labels: The whole set of values, in a fixed order.

        Returns:
            `labels` themselves, or the overflow set.
        """
        if labels in self._admitted:
            return labels
        with self._lock:
            if labels in self._admitted:
                return labels
            if len(self._admitted) < self._limit:
                self._admitted.add(labels)
                return labels
        warn_once(
            self._name,
            "%s: more than %d label sets; new ones are counted as %s (%s)",
            self._name,
            self._limit,
            OVERFLOW,
            SERIES_LIMIT_VARIABLE,
        )
        return self._overflow(labels)  # type: ignore[return-value] # of the same length
