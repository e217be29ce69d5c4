"""Structured log lines on standard error."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class StructuredFormatter(logging.Formatter):
    """Writes a record as logfmt or as a JSON object: time, level, logger, message, then the extras.

    Args:
        as_json: Whether JSON is wanted.
    """

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; a traceback becomes the field `exception`, so that a record stays one line."""
        facts: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        facts |= {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(facts, default=str)
        return " ".join(f"{name}={_logfmt(value)}" for name, value in facts.items())


def configure(level: str, log_format: str) -> None:
    """Send all log records of the process to standard error.

    Args:
        level: Least level that is shown, in lower case.
        log_format: `logfmt` or `json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(StructuredFormatter(as_json=log_format == "json"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _logfmt(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and text and not any(character in text for character in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=not text.isprintable())
