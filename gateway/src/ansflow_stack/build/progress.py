"""Shows that a long build is alive: one rewritten line on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import TextIO

_QUIET_INTERVAL = 15.0
"""Seconds between two lines where the output is not a terminal."""

_TERMINAL_INTERVAL = 0.1


class Progress:
    """Reports the steps of one build.

    Args:
        name: what is built; each line begins with it, so that parallel builds can be told apart.
        stream: where to write; a terminal gets a line that is rewritten in place.
    """

    def __init__(self, name: str, stream: TextIO = sys.stderr) -> None:
        self._name = name
        self._stream = stream
        self._terminal = stream.isatty()
        self._started = time.monotonic()
        self._written = 0.0

    def step(self, text: str) -> None:
        """Write that a step begins."""
        self._write(text, end="\n")

    def tick(self, text: str) -> None:
        """Write how far a step is, no more often than a reader can use."""
        interval = _TERMINAL_INTERVAL if self._terminal else _QUIET_INTERVAL
        if time.monotonic() - self._written >= interval:
            self._write(text, end="" if self._terminal else "\n")

    def _write(self, text: str, end: str) -> None:
        self._written = time.monotonic()
        minutes, seconds = divmod(int(self._written - self._started), 60)
        line = f"{self._name:<15} {minutes}:{seconds:02d}  {text}"
        self._stream.write(f"\r\x1b[2K{line[:118]}{end}" if self._terminal else f"{line}{end}")
        self._stream.flush()
