"""Which log records go out by OTLP, and what stays on the console.

The handler is contrib's (opentelemetry-instrumentation-logging); each record that is exported carries the
trace and span id of the context it was logged in. The SDK's own handler is deprecated and stays off.
"""

import logging
from collections.abc import Iterable, Mapping

from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

__all__ = ["QUIET_LOGGERS_VARIABLE", "ExportedRecords", "choose_exported_records"]

QUIET_LOGGERS_VARIABLE = "ANSFLOW_LOGS_QUIET_LOGGERS"
"""Comma-separated loggers (with all below them) of which only warnings and worse are exported."""


class ExportedRecords(logging.Filter):
    """Decides which records the OTLP handler exports.

    Args:
        handler: The OTLP handler that this filter is added to.
        level: The least level that is exported.
        quiet: Loggers of which, with all below them, only warnings and worse are exported.
    """

    def __init__(self, handler: logging.Handler, level: int, quiet: Iterable[str]) -> None:
        super().__init__()
        self._handler = handler
        self._level = level
        self._quiet = tuple(quiet)

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on one record; one that only telemetry would see is written to stderr as well.

        Args:
            record: Any record that reached the root logger.

        Returns:
            Whether it is exported.
        """
        self._keep_last_resort(record)
        # Exporters run with telemetry suppressed; one that logs (urllib3 does, at DEBUG) would feed itself.
        return record.levelno >= self._level and is_instrumentation_enabled() and not self._is_chatter(record)

    def _is_chatter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING and any(
            record.name == logger or record.name.startswith(f"{logger}.") for logger in self._quiet
        )

    def _keep_last_resort(self, record: logging.LogRecord) -> None:
        """Write what Python writes where no handler is configured: ours must not silence the console."""
        last_resort = logging.lastResort
        if last_resort is None or record.levelno < last_resort.level:
            return
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self._handler for handler in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        last_resort.handle(record)


def choose_exported_records(env: Mapping[str, str]) -> None:
    """Put the filter on the OTLP handler that contrib added to the root logger.

    Args:
        env: The process's environment.
    """
    quiet = [name.strip() for name in env.get(QUIET_LOGGERS_VARIABLE, "").split(",") if name.strip()]
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LoggingHandler):
            handler.addFilter(ExportedRecords(handler, handler.level, quiet))
            # The filter decides instead: a record that is not exported may still be the console's.
            handler.setLevel(logging.NOTSET)
