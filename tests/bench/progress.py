"""Says on standard error how far a run is; standard output has the result alone."""

import sys

__all__ = ["report"]


def report(text: str) -> None:
    """Show a line; on a terminal it replaces the one before."""
    end, start = ("", "\r\033[K") if sys.stderr.isatty() else ("\n", "")
    sys.stderr.write(f"{start}{text}{end}")
    sys.stderr.flush()
