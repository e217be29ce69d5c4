"""What the status page shows, out of the parts that know: beside `app`, as it knows them all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ansflow_gateway.domain.availability import OBJECTIVE, WINDOWS, error_budget
from ansflow_gateway.domain.store import EventStore
from ansflow_gateway.domain.system import SystemSnapshot
from ansflow_gateway.domain.watch import Watched
from ansflow_gateway.folding.book import Book
from ansflow_gateway.status_figures import business_figures, counted_figures, system_figures
from ansflow_gateway.web.status.rejections import RecentRejections
from ansflow_gateway.web.status.source import (
    Availability,
    Delivery,
    Offender,
    Readings,
    Run,
    Service,
    ServiceState,
    StatusView,
    Store,
)

TRACE_ID: Final = "{trace_id}"
"""Place of the id in the address of a trace."""

SHOWN_RUNS: Final = 20
"""Runs on the page."""

SHOWN_DELIVERIES: Final = 20
"""Pairs of project and environment on the page, those with most deployments."""

SHOWN_WINDOW_DAYS: Final = 30
"""The DORA window on the page; the metrics have the others."""

TOP_OFFENDERS: Final = 5


@dataclass(frozen=True)
class Parts:
    """Where it all comes from. Any thread may call them.

    Args:
        book: The folded journal.
        store: The event store.
        store_kind: What it is, such as `SQLite`.
        store_facts: Further facts of it, each a label and a text.
        services: What is known of every probed service; None before its first probe.
        snapshot: The host's latest snapshot.
        counted: Events accepted, and duplicates, since the start.
        rejections: What was refused.
        trace_url: Where a trace is shown, with `TRACE_ID` in it; None where nowhere.
        objective: The availability that services are to keep, below 1.
    """

    book: Book
    store: EventStore
    store_kind: str
    store_facts: Callable[[], Sequence[tuple[str, str]]]
    services: Callable[[], Mapping[str, Watched | None]]
    snapshot: Callable[[], SystemSnapshot | None]
    counted: Callable[[], tuple[int, int]]
    rejections: RecentRejections
    trace_url: str | None = None
    objective: float = OBJECTIVE


class GatewayStatus:
    """Knows what the status page is to show; see `web.status.source.StatusSource`.

    Args:
        parts: Where it comes from.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def readings(self) -> Readings:
        """Return the present figures."""
        parts = self._parts
        return Readings(
            tuple(system_figures(parts.snapshot())),
            (*business_figures(parts.book.table), *counted_figures(*parts.counted())),
        )

    def view(self) -> StatusView:
        """Return all there is to show now."""
        parts = self._parts
        return StatusView(
            store=Store(
                parts.store_kind, parts.store.waiting, parts.store.problem, tuple(parts.store_facts())
            ),
            readings=self.readings(),
            services=tuple(
                _service(name, watched, parts.objective) for name, watched in sorted(parts.services().items())
            ),
            runs=tuple(self._runs()),
            deliveries=self._deliveries(),
            refusals=parts.rejections.refusals(),
            offenders=self._offenders(),
        )

    def _runs(self) -> Sequence[Run]:
        url = self._parts.trace_url
        return [
            Run(
                run.project,
                run.pipeline,
                run.result,
                run.finished_at,
                run.duration_s,
                run.url,
                run.trace_id,
                url.replace(TRACE_ID, run.trace_id) if url else None,
            )
            for run in self._parts.book.recent_runs()[:SHOWN_RUNS]
        ]

    def _deliveries(self) -> Sequence[Delivery]:
        figures = [each for each in self._parts.book.dora() if each.window_days == SHOWN_WINDOW_DAYS]
        figures.sort(key=lambda each: (-each.deployments, each.project, each.environment))
        return tuple(
            Delivery(
                each.project,
                each.environment,
                each.window_days,
                each.deployments,
                each.deployments_per_day,
                each.lead_time_s,
                each.change_failure_rate,
                each.time_to_restore_s,
            )
            for each in figures[:SHOWN_DELIVERIES]
        )

    def _offenders(self) -> Sequence[Offender]:
        found = [
            Offender(name, offenders.total, tuple(offenders.top(TOP_OFFENDERS)))
            for name, offenders in self._parts.book.table.overflowed.items()
            if offenders.total
        ]
        return tuple(sorted(found, key=lambda each: -each.measurements))


def _service(name: str, watched: Watched | None, objective: float) -> Service:
    if watched is None:
        return Service(name, ServiceState.UNKNOWN, availability=_availability({}, {}, objective))
    return Service(
        name,
        ServiceState.UP if watched.state.up else ServiceState.DOWN,
        watched.health.problem,
        tuple(sorted(watched.health.checks.items())),
        _availability(watched.availability, watched.lost, objective),
        watched.state.since,
    )


def _availability(
    shares: Mapping[str, float], lost: Mapping[str, float], objective: float
) -> Sequence[Availability]:
    return tuple(
        Availability(
            window,
            shares.get(window),
            error_budget(lost[window], objective) if window in lost else None,
        )
        for window in WINDOWS
    )
