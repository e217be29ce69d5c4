"""Documents of `application/health+json`, as services answer them and as the gateway keeps them.

Source: https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

OVERALL: Final = "overall"
"""Name of the check that stands for the service as a whole; a service's own check of that name is ignored."""

MAX_CHECKS: Final = 32
"""Most checks kept of one service."""

MAX_CHECK_NAME: Final = 128
"""Longest name of a check, in characters."""

_UP: Final = frozenset({"pass", "ok", "up", "warn"})
_DOWN: Final = frozenset({"fail", "error", "down"})

_NO_CHECKS: Final[Mapping[str, bool]] = MappingProxyType({})


class NotHealthError(ValueError):
    """What came is no health document."""


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """What is known of a service's health.

    Args:
        up: Whether the service as a whole is healthy.
        checks: Whether each of its checks is, by name.
        dropped: Number of checks left out for `MAX_CHECKS` or their names.
        problem: Why the service counts as down although it didn't say so itself; None otherwise.
    """

    up: bool
    checks: Mapping[str, bool] = field(default_factory=lambda: _NO_CHECKS)
    dropped: int = 0
    problem: str | None = None


def read_document(document: object, http_status: int) -> ServiceHealth:
    """Read a decoded health document.

    Args:
        document: The decoded JSON.
        http_status: Status of the answer. A document that claims health under another than 2xx isn't
            believed.

    Returns:
        The service's health. `warn` is up: the service works. A check with several entries (one a node) is
        up if all are; an entry without a status says nothing.

    Raises:
        NotHealthError: It has no usable `status`, or `checks` isn't an object of arrays of objects.
    """
    if not isinstance(document, dict):
        raise NotHealthError("expected an object")
    claimed = _status(document)
    if claimed is None:
        raise NotHealthError("expected status to be pass, warn or fail")
    listed = document.get("checks")
    if listed is not None and not isinstance(listed, dict):
        raise NotHealthError("expected checks to be an object")
    checks: dict[str, bool] = {}
    dropped = 0
    for name, entries in (listed or {}).items():
        verdict = _verdict(name, entries)
        if verdict is None:
            continue
        if len(checks) >= MAX_CHECKS or not 0 < len(name) <= MAX_CHECK_NAME or not name.isprintable():
            dropped += 1
        elif name != OVERALL:
            checks[name] = verdict
    contradicted = claimed and not 200 <= http_status < 300
    return ServiceHealth(
        up=claimed and not contradicted,
        checks=MappingProxyType(checks),
        dropped=dropped,
        problem=f"claims health with HTTP status {http_status}" if contradicted else None,
    )


def unreachable(problem: str, before: ServiceHealth | None) -> ServiceHealth:
    """Make the health of a service that gave no health document.

    Its former checks go to 0 rather than away: exporters keep a series that stopped for minutes, and would
    show a check of a dead service as passing all that while.

    Args:
        problem: Why there is no document.
        before: What was known before.

    Returns:
        The service down, with the checks known before, all down.
    """
    known = before.checks if before else _NO_CHECKS
    return ServiceHealth(up=False, checks=MappingProxyType(dict.fromkeys(known, False)), problem=problem)


def _verdict(name: str, entries: object) -> bool | None:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NotHealthError(f"expected the check {name[:MAX_CHECK_NAME]!r} to be an array of objects")
    said = [status for entry in entries if (status := _status(entry)) is not None]
    return all(said) if said else None


def _status(members: Mapping[str, object]) -> bool | None:
    value = members.get("status")
    if not isinstance(value, str):
        return None
    # The draft has the values compared without regard to case.
    if value.lower() in _UP:
        return True
    return False if value.lower() in _DOWN else None
