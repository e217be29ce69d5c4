"""A container's health check: exits 0 if the URL answers 2xx, since the images have no other HTTP client."""

import sys
import urllib.error
import urllib.request

TIMEOUT_S = 2.5
"""Below the health check's own timeout in compose.yaml, so that the reason is still printed."""


def answers(url: str) -> bool:
    """Return whether a GET of the URL ends in 2xx; the reason goes to standard error if it doesn't."""
    # Whatever proxy the environment names, the container asks itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as response:
            return 200 <= int(response.status) < 300
    except (urllib.error.URLError, OSError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return False


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1]) else 1)
