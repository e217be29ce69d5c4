"""`python -m tests.bench.gateway`: the gateway's part of `python -m tests.bench`, alone."""

import sys

from ..__main__ import main

if __name__ == "__main__":
    main(["--only", "gateway", *sys.argv[1:]])
