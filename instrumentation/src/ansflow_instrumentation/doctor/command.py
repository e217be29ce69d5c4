"""The command line of `ansflow-instrument`."""

import argparse
from collections.abc import Sequence

from ansflow_instrumentation.version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What follows the program's name; the process's own by default.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="ansflow-instrument", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args(arguments)
    return 0
