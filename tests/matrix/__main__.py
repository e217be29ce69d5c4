"""`python -m tests.matrix`: prepares all environments of the matrix, so that its tests need no network."""

import sys

from .environments import ENVIRONMENTS, UnavailableError, prepare


def main() -> None:
    """Prepare each environment, and say which cannot be had."""
    for environment in ENVIRONMENTS:
        try:
            scripts = prepare(environment)
        except UnavailableError as error:
            sys.stdout.write(f"{environment.name}: not available: {error}\n")
        else:
            sys.stdout.write(f"{environment.name}: {scripts}\n")


if __name__ == "__main__":
    main()
