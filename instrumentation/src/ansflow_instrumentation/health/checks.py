"""What a check is, and what comes of it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

__all__ = ["Check", "CheckFailedError", "ComponentType", "Observation", "Outcome", "Status"]

ComponentType = Literal["component", "datastore", "system"]
"""https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06#section-4.3"""


class Status(StrEnum):
    """How a check, or the whole service, is doing; the order is that of severity."""

    PASS = "pass"  # noqa: S105 # a status of the draft, no password
    WARN = "warn"
    FAIL = "fail"

    @property
    def severity(self) -> int:
        """The worse the greater."""
        return tuple(Status).index(self)


class CheckFailedError(Exception):
    """Raised by a check whose reason anybody may read; of other exceptions only the class is shown."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a check may return, where what it measures is not its own time.

    Args:
        value: What was measured.
        unit: Its unit, such as `s` or `{run}`.
        status: The verdict; of a check that is not critical `fail` counts as `warn`.
        output: Why it is not `pass`, for anybody to read.
    """

    value: float
    unit: str
    status: Status = Status.PASS
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A way to find out whether something works.

    Args:
        name: `database` is shown as `database:responseTime`; a name with a colon is shown as it is.
        call: Returns (None or an `Observation`) where it works, raises where it does not. A coroutine
            function runs on the server's event loop, any other function in a thread.
        critical: Whether the service is of no use without it: it fails, else it warns.
        ready: Whether `/health/ready` has it as well: what requests cannot be served without, and not peers,
            as services that wait for each other would never be ready.
        component_type: What is checked.
        cached: Whether its result may be given again for the endpoints' `cache_s`; not one that is free to
            have, and changes.
    """

    name: str
    call: Callable[[], object]
    critical: bool = True
    ready: bool = True
    component_type: ComponentType = "component"
    cached: bool = True

    @property
    def key(self) -> str:
        """Its name in the document."""
        return self.name if ":" in self.name else f"{self.name}:responseTime"

    @property
    def is_async(self) -> bool:
        """Whether `call` is a coroutine function, or an object that is called like one."""
        return inspect.iscoroutinefunction(self.call) or inspect.iscoroutinefunction(
            getattr(self.call, "__call__", None)  # noqa: B004 # not whether it can be called, but how
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check.

    Args:
        key: The check's name in the document.
        component_type: What was checked.
        status: The verdict.
        value: What was observed, in `unit`.
        unit: The unit.
        time: When, in UTC.
        output: Why the status is not `pass`, for anybody to read.
        detail: The same for the log, where it may name addresses.
    """

    key: str
    component_type: ComponentType
    status: Status
    value: float
    unit: str
    time: datetime
    output: str | None = None
    detail: str | None = None

    @classmethod
    def of(cls, check: Check, elapsed_s: float, result: object) -> "Outcome":
        """Judge what a check returned or raised.

        Args:
            check: The check.
            elapsed_s: How long it took, in seconds.
            result: What it returned; an exception is a failure.

        Returns:
            The outcome, at this time.
        """
        value, unit, status = elapsed_s * 1000, "ms", Status.PASS
        output = detail = None
        match result:
            case Observation():
                value, unit, status, output = result.value, result.unit, result.status, result.output
            case CheckFailedError():
                status, output = Status.FAIL, str(result)
            case BaseException():
                status, output = Status.FAIL, type(result).__name__
                detail = f"{output}: {result}"
        if status is Status.FAIL and not check.critical:
            status = Status.WARN
        return cls(
            check.key, check.component_type, status, value, unit, datetime.now(UTC), output, detail or output
        )
