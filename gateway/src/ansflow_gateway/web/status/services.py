"""The table of services."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from ansflow_gateway.web.status.markup import Markup, fill, foreign, join
from ansflow_gateway.web.status.signs import BAD, GOOD, UNSURE, note, sign
from ansflow_gateway.web.status.source import Availability, Service, ServiceState
from ansflow_gateway.web.status.tables import Column, table
from ansflow_gateway.web.status.wording import NOTHING, availability, moment, ratio

_STATES: Final = MappingProxyType(
    {ServiceState.UP: GOOD, ServiceState.DOWN: BAD, ServiceState.UNKNOWN: UNSURE}
)


def services_table(services: Sequence[Service]) -> Markup:
    """Render the probed services."""
    if not services:
        return note("No services are probed; --services names some.")
    windows = [each.window for each in services[0].availability]
    columns = [Column("Service"), Column("State"), Column("Since (UTC)"), Column("Checks", wide=True)]
    columns += [Column(f"Up, {window}", number=True) for window in windows]
    if windows:
        columns.append(Column(f"Error budget left, {windows[-1]}", number=True))
    return table(
        "services",
        "Health of the probed services, their availability and what is left of their error budgets",
        columns,
        [
            [
                foreign(service.name),
                _state(service),
                NOTHING if service.since is None else moment(service.since),
                _checks(service.checks),
                *(_available(each) for each in service.availability),
                *(_budget(each) for each in service.availability[-1:]),
            ]
            for service in services
        ],
    )


def _state(service: Service) -> Markup:
    state = sign(_STATES[service.state], service.state.value)
    if not service.problem:
        return state
    return fill('{state} <span class="why">{problem}</span>', state=state, problem=foreign(service.problem))


def _checks(checks: Sequence[tuple[str, bool]]) -> Markup:
    failing = [name for name, passes in checks if not passes]
    if not failing:
        return fill("{passing} of {passing} pass", passing=len(checks)) if checks else Markup(NOTHING)
    names = join(
        fill("{comma}{name}", comma=", " if place else "", name=foreign(name))
        for place, name in enumerate(failing)
    )
    return fill(
        "{passing} of {all} pass; {state}",
        passing=len(checks) - len(failing),
        all=len(checks),
        state=fill('<span class="why">failing: {names}</span>', names=names),
    )


def _available(each: Availability) -> str:
    return NOTHING if each.share is None else availability(each.share)


def _budget(longest: Availability) -> Markup:
    left = longest.budget_left
    if left is None:
        return Markup(NOTHING)
    if left < 0:
        return sign(BAD, f"overspent by {ratio(-left)}")
    return fill(
        '<meter min="0" max="1" low="0.25" high="0.5" optimum="1" value="{left}" aria-hidden="true"></meter>'
        " {text}",
        left=f"{min(left, 1.0):.3f}",
        text=ratio(left),
    )
