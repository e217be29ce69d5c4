"""``python3 -m ansflow_stack.build NAME…``: makes the named binaries ready and prints their paths."""

import argparse
import sys

from ansflow_stack.build.binaries import catalogue
from ansflow_stack.build.builder import ensure
from ansflow_stack.build.checkout import Checkout
from ansflow_stack.build.errors import BuildError

_INTERRUPTED = 130
"""As shells have it: 128 and the signal's number."""


def main() -> int:
    """Build what the command line names; return the exit code."""
    checkout = Checkout.find()
    known = catalogue(checkout.manifest)
    parser = argparse.ArgumentParser(prog="python3 -m ansflow_stack.build", description=__doc__)
    parser.add_argument("name", nargs="+", choices=sorted(known), help="the binary to make ready")
    parser.add_argument("--rebuild", action="store_true", help="build also what the cache holds")
    arguments = parser.parse_args()
    try:
        for name in arguments.name:
            print(ensure(known[name], checkout.cache, rebuild=arguments.rebuild))  # noqa: T201 - the command's output
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
