"""Sees whether a process can do its work."""

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass

_PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class Readiness:
    """The answer of one probe."""

    ready: bool
    reason: str
    """What the probe saw, for a person."""


def probe(url: str) -> Readiness:
    """Ask once; any 2xx is ready."""
    try:
        # Not through a proxy that the environment may name: the system is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=_PROBE_SECONDS) as answer:
            return Readiness(200 <= answer.status < 300, f"{url} answers {answer.status}")
    except urllib.error.HTTPError as error:
        with error:
            detail = error.read(300).decode(errors="replace").strip()
        return Readiness(False, f"{url} answers {error.code}: {detail}")
    except (OSError, http.client.HTTPException) as error:
        return Readiness(False, f"{url} does not answer: {error}")
