"""Heads of requests that the slim path takes: known wholly, or not at all.

Source: https://www.rfc-editor.org/rfc/rfc9112
"""

import re
from dataclasses import dataclass
from typing import Final

from ansflow_gateway.receivers import answers, modes
from ansflow_gateway.receivers.events import MAX_BODY_BYTES, PATH
from ansflow_gateway.receivers.modes import Mode

START: Final = f"POST {PATH} HTTP/1.1\r\n".encode()
"""What each begins with."""

END: Final = b"\r\n\r\n"
"""What each ends with."""

CACHED: Final = 2048
"""Most heads that are remembered: senders differ, and the lengths of their bodies do."""

CACHED_BYTES: Final = 1024
"""Longest head that is remembered."""

_FIELD: Final = re.compile(rb"([A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)[ \t]*")
_LENGTH: Final = re.compile(rb"[1-9][0-9]{0,6}")
_TYPES: Final = {
    f"{essence}{charset}": mode
    for essence, mode in ((modes.STRUCTURED, Mode.STRUCTURED), (modes.BATCH, Mode.BATCH))
    for charset in ("", ";charset=utf-8", "; charset=utf-8")
}
# What traced senders and proxies add. It changes nothing here, as an event has a trace
# context of its own, and it may differ with each request.
_PASSING: Final = frozenset(
    {
        "baggage",
        "forwarded",
        "traceparent",
        "tracestate",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
    }
)
_KNOWN: Final = _PASSING | {
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "prefer",
    "sec-fetch-mode",
    "user-agent",
}


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says.

    Args:
        mode: Structured, or a batch.
        length: Bytes of the body.
        authorization: The header of that name; empty where there is none.
        minimal: Whether a batch's sender wants the short answer.
        lasting: Whether the next request may well have the same head.
    """

    mode: Mode
    length: int
    authorization: str
    minimal: bool
    lasting: bool


class Heads:
    """Reads heads, and remembers what they say."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head | None] = {}

    def read(self, head: bytes) -> Head | None:
        """Read a head.

        Args:
            head: All before the empty line.

        Returns:
            What it says; None where aiohttp has to judge.
        """
        try:
            return self._known[head]
        except KeyError:
            pass
        found = read(head)
        if found and found.lasting and len(head) <= CACHED_BYTES:
            if len(self._known) == CACHED:
                self._known.clear()  # rare, and cheaper than to note which was used last
            self._known[head] = found
        return found


def read(head: bytes) -> Head | None:
    """Read a head that isn't remembered; see `Heads.read`."""
    if not head.startswith(START):
        return None
    fields: dict[str, str] = {}
    for line in head[len(START) :].split(b"\r\n"):
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        name = field[1].decode().lower()
        if name not in _KNOWN or name in fields:
            return None
        fields[name] = field[2].decode()
    mode = _TYPES.get(fields.get("content-type", "").lower())
    length = fields.get("content-length", "").encode()
    if (
        mode is None
        or "host" not in fields
        or not _LENGTH.fullmatch(length)
        or int(length) > MAX_BODY_BYTES
        or fields.get("connection", "keep-alive").lower() != "keep-alive"
    ):
        return None
    return Head(
        mode,
        int(length),
        fields.get("authorization", ""),
        answers.prefers_minimal([fields.get("prefer", "")]),
        _PASSING.isdisjoint(fields),
    )
