"""Sends one batch to the event sink over HTTP, and says what became of it."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import urlsplit

BATCH_TYPE = "application/cloudevents-batch+json"
"""CloudEvents JSON batch format (JSON event format 1.0, section 4)."""

_TRY_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})


class Verdict(Enum):
    """What a sink made of a batch."""

    TAKEN = auto()
    TRY_LATER = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on a batch, and the reason in words.

    Args:
        verdict: What became of the batch.
        reason: For the log.
    """

    verdict: Verdict
    reason: str


class HttpSink:
    """An event sink behind an HTTP address.

    Args:
        url: Where batches are posted, `http` or `https`.
        timeout_s: How long connecting, and each read, may take.

    Raises:
        ValueError: The URL is not an http(s) address.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"event sink: expected an http(s) URL, got {url!r}")
        self._scheme = parts.scheme
        self._host = parts.hostname
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = timeout_s

    def send(self, batch: Sequence[dict[str, object]]) -> Outcome:
        """Post a batch.

        Args:
            batch: CloudEvents.

        Returns:
            `TAKEN` for 2xx; `TRY_LATER` where the sink is out of reach or asks for patience; else `REFUSED`.
        """
        kind = http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(
                "POST", self._target, body=json.dumps(batch), headers={"Content-Type": BATCH_TYPE}
            )
            with connection.getresponse() as response:
                status = response.status
                response.read()
        except (OSError, http.client.HTTPException) as error:
            return Outcome(Verdict.TRY_LATER, f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        if 200 <= status < 300:
            return Outcome(Verdict.TAKEN, f"HTTP {status}")
        return Outcome(Verdict.TRY_LATER if status in _TRY_LATER else Verdict.REFUSED, f"HTTP {status}")
