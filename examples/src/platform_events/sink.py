"""Sends one batch to the event sink over HTTP."""

import http.client
import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from platform_events.answers import Outcome, Verdict, read_answer
from platform_events.token import checked

BATCH_TYPE = "application/cloudevents-batch+json"
"""CloudEvents JSON batch format (JSON event format 1.0, section 4)."""

_MAX_ANSWER_BYTES = 1024 * 1024


class HttpSink:
    """An event sink behind an HTTP address.

    Args:
        url: Where batches are posted, `http` or `https`.
        token: The bearer token that goes with each; `None` for none.
        timeout_s: How long connecting, and each read, may take.

    Raises:
        ValueError: The URL is not an http(s) address, or the token can't stand in a header.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 5.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"event sink: expected an http(s) URL, got {url!r}")
        self._scheme = parts.scheme
        self._host = parts.hostname
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": BATCH_TYPE}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {checked(token, 'event sink token')}"

    def send(self, batch: Sequence[dict[str, object]]) -> Outcome:
        """Post a batch.

        Args:
            batch: CloudEvents.

        Returns:
            What the answer says; `TRY_LATER` where the sink is out of reach or its answer breaks off.
        """
        kind = http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request("POST", self._target, body=json.dumps(batch), headers=self._headers)
            with connection.getresponse() as response:
                status = response.status
                body = _read(response)
        except (OSError, http.client.HTTPException) as error:
            return Outcome(Verdict.TRY_LATER, f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        return read_answer(status, body, len(batch))


def _read(response: http.client.HTTPResponse) -> bytes:
    """Read a body; one beyond all bounds counts as none."""
    body = response.read(_MAX_ANSWER_BYTES + 1)
    if len(body) > _MAX_ANSWER_BYTES:
        return b""
    # A read with a bound takes an end that comes too soon for the end.
    if response.length:
        raise http.client.IncompleteRead(body, response.length)
    return body
