"""A service's health, as its endpoints answer it, whatever framework they belong to.

Source: https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
"""

import functools
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from ansflow_instrumentation.health.checks import Check, Outcome, Status
from ansflow_instrumentation.health.flights import Flights

__all__ = ["HEADERS", "MEDIA_TYPE", "Answer", "Page", "ServiceHealth"]

MEDIA_TYPE = "application/health+json"
"""The content type of the answers."""

HEADERS = {"Cache-Control": "no-store"}
"""What is kept for a moment is kept by the service; nobody on the way may answer in its place."""


class Page(Enum):
    """The endpoints."""

    ALL = auto()
    """All checks, and for how long the process has run."""

    LIVE = auto()
    """The process alone: whoever answers is alive."""

    READY = auto()
    """What has to be there for requests to be served."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Args:
        http_status: 503 for `fail`, else 200.
        body: The JSON document.
    """

    http_status: int
    body: bytes


class ServiceHealth:
    """Answers for a service.

    Args:
        service_id: The service's name; None for that in `OTEL_SERVICE_NAME`, if there is one.
        version: The service's version.
        deadline_s: Seconds after which a check that has not answered has failed.
        cache_s: Seconds for which a result is given again; 0 for not at all.

    Raises:
        ValueError: `deadline_s` is not positive, or `cache_s` negative.
    """

    def __init__(
        self, *, service_id: str | None, version: str | None, deadline_s: float, cache_s: float
    ) -> None:
        if not deadline_s > 0:
            raise ValueError(f"deadline_s: expected a number of seconds > 0, got {deadline_s!r}")
        if not cache_s >= 0:
            raise ValueError(f"cache_s: expected a number of seconds >= 0, got {cache_s!r}")
        self._service_id = service_id or os.environ.get("OTEL_SERVICE_NAME") or None
        self._version = version
        self._flights = Flights(deadline_s, cache_s)

    async def answer(self, page: Page, checks: Sequence[Check]) -> Answer:
        """Answer on an event loop.

        Args:
            page: What was asked for.
            checks: All of the service's.

        Returns:
            The answer.
        """
        return self._answer(page, await self._flights.outcomes(_on(page, checks)))

    def answer_in_threads(self, page: Page, checks: Sequence[Check]) -> Answer:
        """Answer where there is no event loop.

        Args:
            page: What was asked for.
            checks: All of the service's.

        Returns:
            The answer.
        """
        return self._answer(page, self._flights.outcomes_in_threads(_on(page, checks)))

    def _answer(self, page: Page, outcomes: Iterable[Outcome]) -> Answer:
        shown = [*outcomes] if page is Page.READY else [_uptime(), *outcomes]
        status = max((outcome.status for outcome in shown), key=lambda one: one.severity, default=Status.PASS)
        document: dict[str, object] = {"status": status.value}
        if self._version is not None:
            document["version"] = self._version
        if self._service_id is not None:
            document["serviceId"] = self._service_id
        checks: dict[str, list[dict[str, object]]] = {}
        for outcome in shown:
            checks.setdefault(outcome.key, []).append(_entry(outcome))
        document["checks"] = checks
        return Answer(503 if status is Status.FAIL else 200, json.dumps(document).encode())


def _on(page: Page, checks: Sequence[Check]) -> Sequence[Check]:
    if page is Page.LIVE:
        return ()
    return [check for check in checks if check.ready or page is Page.ALL]


def _entry(outcome: Outcome) -> dict[str, object]:
    entry: dict[str, object] = {
        "componentType": outcome.component_type,
        "observedValue": round(outcome.value, 3),
        "observedUnit": outcome.unit,
        "status": outcome.status.value,
        "time": outcome.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return entry if outcome.output is None else {**entry, "output": outcome.output}


@functools.lru_cache(maxsize=1)
def _start_s(pid: int) -> float:
    """Give the time at which a process began, a forked one at the fork, in seconds of `time.time`."""
    import psutil  # not before it is needed: no application has to wait for it at its start

    return psutil.Process(pid).create_time()


def _uptime() -> Outcome:
    age_s = max(0.0, time.time() - _start_s(os.getpid()))
    return Outcome("uptime", "system", Status.PASS, age_s, "s", datetime.now(UTC))
