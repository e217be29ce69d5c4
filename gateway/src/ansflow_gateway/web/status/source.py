"""What the status page shows, as immutable values: the boundary to the parts that know.

Everything in them that comes from outside (names, URLs, refused values) is foreign text: the rendering
escapes it, and makes links only of http and https URLs. Times are in seconds since the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol


class Unit(Enum):
    """How a figure's value is written."""

    COUNT = "count"
    RATIO = "ratio"
    SECONDS = "seconds"
    BYTES = "bytes"


class Trend(Enum):
    """What a figure's chart shows."""

    LEVEL = "level"
    """The value itself, as it was."""

    RATE = "rate"
    """How fast the value grew, a second: it is a sum that only grows."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number and its chart.

    Args:
        key: Stable name, unique on the page; its history goes by it.
        label: What it is, in a few words.
        value: The present value; None where it isn't known.
        unit: How to write it.
        trend: What the chart shows.
        detail: A few words more, such as what it is a part of.
        ceiling: Value at the chart's upper edge; None for the greatest of its values.
    """

    key: str
    label: str
    value: float | None
    unit: Unit
    trend: Trend = Trend.LEVEL
    detail: str = ""
    ceiling: float | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """All figures.

    Args:
        system: Of the host and the process.
        business: Of the platform, out of the events.
    """

    system: Sequence[Figure] = ()
    business: Sequence[Figure] = ()


class ServiceState(StrEnum):
    """What is known of a service."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Availability:
    """How available a service was.

    Args:
        window: Over which time, such as `30 d`.
        share: Share of the time that it was up, 0 to 1; None where nothing is known.
        budget_left: Share of the error budget that is left; negative where more than all of it is used; None
            where nothing is known.
    """

    window: str
    share: float | None
    budget_left: float | None


@dataclass(frozen=True, slots=True)
class Service:
    """A probed service.

    Args:
        name: Its name.
        state: Whether it is up as a whole.
        problem: Why it is down, where it didn't say so itself.
        checks: Name of each of its checks, and whether it passes.
        availability: One entry a window, the same windows for all services.
        since: Since when it is in this state.
    """

    name: str
    state: ServiceState
    problem: str | None = None
    checks: Sequence[tuple[str, bool]] = ()
    availability: Sequence[Availability] = ()
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A pipeline run that ended.

    Args:
        project: Its project.
        pipeline: Its pipeline.
        result: How it ended: a result of the semantic conventions.
        finished_at: When.
        duration_s: How long it executed; None where it isn't known.
        url: Where its CI system shows it, if that is known.
        trace_id: Id of its trace, in hexadecimal.
        trace_url: Where its trace is shown, if there is such a place.
    """

    project: str
    pipeline: str
    result: str
    finished_at: float
    duration_s: float | None
    url: str | None
    trace_id: str
    trace_url: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """DORA figures of one project in one environment.

    Args:
        project: The project.
        environment: The environment.
        window_days: Days that they cover.
        deployments: Successful deployments.
        deployments_per_day: Their frequency.
        lead_time_s: Median time from a change to its deployment; None where there was none.
        change_failure_rate: Share of deployments that failed in use, 0 to 1; None where there was none.
        time_to_restore_s: Median time to restore; None where there was no incident.
    """

    project: str
    environment: str
    window_days: int
    deployments: int
    deployments_per_day: float
    lead_time_s: float | None
    change_failure_rate: float | None
    time_to_restore_s: float | None


@dataclass(frozen=True, slots=True)
class Refused:
    """One refusal.

    Args:
        at: When.
        reason: Why, out of the closed set.
        field: What was at fault.
        expected: What would have been taken.
        got: What came instead, bounded.
        path: Path of the request.
    """

    at: float
    reason: str
    field: str
    expected: str
    got: str
    path: str


@dataclass(frozen=True, slots=True)
class Refusals:
    """What was refused since the start.

    Args:
        counts: Number of refusals by reason, the most frequent first; reasons that didn't occur are left out.
        recent: The latest of them, the last first.
    """

    counts: Sequence[tuple[str, int]] = ()
    recent: Sequence[Refused] = ()


@dataclass(frozen=True, slots=True)
class Offender:
    """A meter that has as many series as it may.

    Args:
        meter: The instrument's name.
        measurements: How many measurements went to its overflow since the start.
        top: Label sets that were turned away most, each with an upper bound of how often.
    """

    meter: str
    measurements: int
    top: Sequence[tuple[Sequence[str], int]]


@dataclass(frozen=True, slots=True)
class Store:
    """The event store.

    Args:
        kind: What it is, such as `SQLite`.
        waiting: Events that wait to be committed.
        problem: Why nothing can be committed; None where all is well.
        journal: Further facts, each a label and a text: entries of the journal, its size, events put aside.
    """

    kind: str
    waiting: int
    problem: str | None = None
    journal: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class StatusView:
    """Everything that the page shows at one moment.

    Args:
        readings: All figures.
        services: The probed services.
        runs: Runs that ended lately, the last first.
        deliveries: DORA figures.
        refusals: What was refused.
        offenders: Meters over their limit.
        store: The event store.
    """

    store: Store
    readings: Readings = field(default_factory=Readings)
    services: Sequence[Service] = ()
    runs: Sequence[Run] = ()
    deliveries: Sequence[Delivery] = ()
    refusals: Refusals = field(default_factory=Refusals)
    offenders: Sequence[Offender] = ()


class StatusSource(Protocol):
    """Knows what is to be shown. Any thread may call it, several at a time."""

    def readings(self) -> Readings:
        """Return the present figures: for the charts, every few seconds, whether or not somebody looks."""
        ...

    def view(self) -> StatusView:
        """Return all there is to show now: only while somebody looks."""
        ...
