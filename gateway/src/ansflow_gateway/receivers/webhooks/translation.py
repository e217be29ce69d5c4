"""What the translators of all CI systems share: their outcome, and how they read foreign JSON.

A translator is a pure function of a delivery. It refuses a member that it needs and can't use, and never
raises anything but `RejectedError`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from ansflow_gateway.domain import fields
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.rejection import Reason, RejectedError, reject

ID_LIMIT: Final = 512
"""Longest id of a delivery, in characters."""

URL_LIMIT: Final = 2048
"""Longest URL, in characters."""

NAME_LIMIT: Final = 512
"""Longest name of a task, which is no label, in characters: matrix jobs have long ones."""

LATEST_TIME_S: Final = 4_102_444_800.0
"""The year 2100, in seconds since the epoch: a later time is a mistake."""

OTHER: Final = "other"
"""Stands for a kind of event whose name isn't one."""

_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63})?", re.ASCII)
_HOST: Final = re.compile(r"[a-z0-9.:\[\]-]{1,260}", re.ASCII)
# RFC 3339, and what GitLab makes of a time: "2026-01-31 12:00:00 UTC", "2026-01-31 12:00:00 +0200".
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)? ?(?:([Zz]|UTC)|([+-]\d\d):?(\d\d))", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified webhook.

    Args:
        headers: Its headers by their names in lower case.
        body: The decoded JSON.
    """

    headers: Mapping[str, str]
    body: object

    def header(self, name: str, limit: int = ID_LIMIT) -> str:
        """Read a header that must be there.

        Args:
            name: Its name in lower case.
            limit: Most characters.

        Returns:
            Its value.

        Raises:
            RejectedError: It is missing, empty, too long, or holds control characters.
        """
        return fields.text(self.headers, name, limit)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A valid event that says nothing the gateway knows.

    Args:
        system: The CI system.
        kind: The kind of event, such as `push` or `pull_request.opened`; bounded and safe as a label.
    """

    system: str
    kind: str


Outcome = Sequence[Event] | Unsupported
"""What a delivery says: any number of events, or nothing that the gateway knows."""


def unsupported(system: str, *kind: object) -> Unsupported:
    """Make the outcome of an event that isn't known.

    Args:
        system: The CI system.
        kind: The event's name and, below it, its action or state, as the sender has them.

    Returns:
        The outcome.
    """
    name = ".".join(part for part in kind if isinstance(part, str) and part)
    return Unsupported(system, name if _KIND.fullmatch(name) else OTHER)


def optional(
    members: Mapping[str, object], name: str, limit: int = fields.LABEL_LIMIT, at: str = ""
) -> str | None:
    """Read a text that may be absent, or empty: webhooks write both for "none".

    Args:
        members: The decoded object.
        name: The member's name.
        limit: Most characters.
        at: Prefix of the path that a refusal names.

    Returns:
        The text, or None.

    Raises:
        RejectedError: See `fields.optional_text`.
    """
    return None if members.get(name) == "" else fields.optional_text(members, name, limit, at)


def whole(members: Mapping[str, object], name: str, at: str = "", least: int = 0) -> int:
    """Read a whole number that must be there.

    Args:
        members: The decoded object.
        name: The member's name.
        at: Prefix of the path that a refusal names.
        least: Smallest number taken.

    Returns:
        The number, below 2^63.

    Raises:
        RejectedError: `missing`, `wrong_type`, or `out_of_range`.
    """
    expected = f"a whole number from {least}"
    value = members.get(name)
    if value is None:
        raise fields.missing(at + name, expected)
    if isinstance(value, bool) or not isinstance(value, int):
        raise reject(Reason.WRONG_TYPE, at + name, expected, value)
    if not least <= value < 2**63:
        raise reject(Reason.OUT_OF_RANGE, at + name, expected, value)
    return value


def optional_number(members: Mapping[str, object], name: str, maximum: float, at: str = "") -> float | None:
    """Read a number from 0 to `maximum` that may be absent; see `fields.number`."""
    return None if members.get(name) is None else fields.number(members, name, maximum, at)


def optional_time(members: Mapping[str, object], name: str, at: str = "") -> float | None:
    """Read a time that may be absent.

    Args:
        members: The decoded object.
        name: The member's name.
        at: Prefix of the path that a refusal names.

    Returns:
        Seconds since the epoch, or None.

    Raises:
        RejectedError: It is no time of RFC 3339 or of GitLab's form, or one before 1970 or after 2100.
    """
    given = optional(members, name, 64, at)
    if given is None:
        return None
    expected = "a time such as 2026-01-31T12:00:00Z"
    parts = _TIME.fullmatch(given)
    if not parts:
        raise reject(Reason.INVALID_VALUE, at + name, expected, given)
    day, clock, fraction, utc, hours, minutes = parts.groups()
    zone = "+00:00" if utc else f"{hours}:{minutes}"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{zone}")
    except ValueError as error:
        raise reject(Reason.INVALID_VALUE, at + name, expected, given) from error
    seconds = (moment - _EPOCH).total_seconds()
    if not 0 <= seconds <= LATEST_TIME_S:
        raise reject(Reason.OUT_OF_RANGE, at + name, "a time from 1970 to 2100", given)
    return seconds


def time(members: Mapping[str, object], name: str, at: str = "") -> float:
    """Read a time that must be there; see `optional_time` for arguments and refusals.

    Returns:
        Seconds since the epoch.

    Raises:
        RejectedError: `missing`, and whatever `optional_time` raises.
    """
    seconds = optional_time(members, name, at)
    if seconds is None:
        raise fields.missing(at + name, "a time such as 2026-01-31T12:00:00Z")
    return seconds


def host_and_path(url: str, field: str) -> tuple[str, str]:
    """Take a web URL apart.

    Args:
        url: The URL.
        field: The path that a refusal names.

    Returns:
        The host in lower case, with a port that isn't the scheme's own; the path without slashes at its ends.

    Raises:
        RejectedError: `invalid_value`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _no_url(field, url) from error
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        raise _no_url(field, url)
    shown = f"[{host}]" if ":" in host else host
    if port not in {None, 80 if parts.scheme == "http" else 443}:
        shown += f":{port}"
    return shown, parts.path.strip("/")


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _no_url(field: str, url: str) -> RejectedError:
    return reject(Reason.INVALID_VALUE, field, "an http or https URL", url)
