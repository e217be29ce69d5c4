"""Checks, and the report they add up to."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

MEDIA_TYPE = "application/health+json"
"""The content type of a report (draft-inadarei-api-health-check-06, section 3)."""


class Status(StrEnum):
    """How a check, or the whole service, is doing; the order is that of severity."""

    PASS = "pass"  # noqa: S105 - a status of the draft, no password
    WARN = "warn"
    FAIL = "fail"


_SEVERITY = list(Status)


@dataclass(frozen=True, slots=True)
class Check:
    """One measured fact about a service or about something it depends on.

    Args:
        name: `component:measurement`, the key in the report's `checks`.
        component_type: `datastore`, `component` or `system`.
        status: The verdict.
        observed_value: What was measured, in `observed_unit`.
        observed_unit: The unit, such as `ms`.
        time: When it was measured, in UTC.
        output: Why the status is not `pass`; `None` where it is.
    """

    name: str
    component_type: str
    status: Status
    observed_value: float
    observed_unit: str
    time: datetime
    output: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the check as an object of the report's `checks` arrays."""
        result: dict[str, object] = {
            "componentType": self.component_type,
            "observedValue": round(self.observed_value, 3),
            "observedUnit": self.observed_unit,
            "status": self.status.value,
            "time": self.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if self.output is not None:
            result["output"] = self.output
        return result


@dataclass(frozen=True, slots=True)
class Report:
    """What a service says about itself.

    Args:
        service_id: The service's name.
        version: The service's version.
        checks: Its checks; the worst of them is the report's status.
    """

    service_id: str
    version: str
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        """The worst status of all checks; `pass` where there are none."""
        return max((check.status for check in self.checks), key=_SEVERITY.index, default=Status.PASS)

    @property
    def http_status(self) -> int:
        """503 for `fail`, else 200."""
        return 503 if self.status is Status.FAIL else 200

    def as_bytes(self) -> bytes:
        """Return the report as a JSON document."""
        body = {
            "status": self.status.value,
            "version": self.version,
            "serviceId": self.service_id,
            "checks": _by_name(self.checks),
        }
        return json.dumps(body).encode()


def uptime_check(*, seconds: float, now: datetime) -> Check:
    """Return the check that says for how long the process has been running.

    Args:
        seconds: The process's age.
        now: The time of the measurement.

    Returns:
        A check that always passes: whoever can answer is alive.
    """
    return Check(
        name="uptime",
        component_type="system",
        status=Status.PASS,
        observed_value=seconds,
        observed_unit="s",
        time=now,
    )


def _by_name(checks: Iterable[Check]) -> dict[str, list[dict[str, object]]]:
    grouped: dict[str, list[dict[str, object]]] = {}
    for check in checks:
        grouped.setdefault(check.name, []).append(check.as_json())
    return grouped
