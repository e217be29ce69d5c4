"""The page's sections, each rendered by itself: the whole page and its live updates are made of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from ansflow_gateway.web.status.chart import sparkline
from ansflow_gateway.web.status.history import History
from ansflow_gateway.web.status.markup import EMPTY, Markup, fill, foreign, join, link
from ansflow_gateway.web.status.source import (
    Availability,
    Figure,
    Offender,
    Run,
    Service,
    ServiceState,
    StatusView,
    Trend,
)
from ansflow_gateway.web.status.tables import Column, table
from ansflow_gateway.web.status.wording import (
    NOTHING,
    amount,
    availability,
    count,
    duration,
    moment,
    ratio,
)

Sections = Mapping[str, Markup]
"""The inner HTML of each section, by its id."""

_GOOD: Final = "good"
_BAD: Final = "bad"
_UNSURE: Final = "unsure"
_SIGNS: Final = MappingProxyType({_GOOD: "✓", _BAD: "✕", _UNSURE: "○"})

_STATES: Final = MappingProxyType(
    {ServiceState.UP: _GOOD, ServiceState.DOWN: _BAD, ServiceState.UNKNOWN: _UNSURE}
)
_RESULTS: Final = MappingProxyType({"success": _GOOD, "failure": _BAD, "error": _BAD, "timeout": _BAD})

_SHOWN_OFFENDERS: Final = 5


def render(view: StatusView, history: History) -> Sections:
    """Render all sections.

    Args:
        view: What is to be shown.
        history: What the charts show.

    Returns:
        The sections, in the page's order.
    """
    figures = partial(_figures, history=history)
    return {
        "summary": _summary(view),
        "services": _services(view.services),
        "system": figures(view.readings.system, "No reading of the host yet, or none of late."),
        "business": figures(view.readings.business, "No events yet."),
        "runs": _runs(view.runs),
        "deliveries": _deliveries(view),
        "refusals": _refusals(view),
        "offenders": _offenders(view.offenders),
        "store": _store(view),
    }


def _sign(kind: str, text: str) -> Markup:
    """Make a state that is told by its sign and its word; the colour only helps."""
    return fill(
        '<span class="state {kind}"><span aria-hidden="true">{sign}</span> {text}</span>',
        kind=kind,
        sign=_SIGNS[kind],
        text=text,
    )


def _note(text: str) -> Markup:
    return fill('<p class="note">{text}</p>', text=text)


def _summary(view: StatusView) -> Markup:
    down = [service for service in view.services if service.state is ServiceState.DOWN]
    unknown = [service for service in view.services if service.state is ServiceState.UNKNOWN]
    problems = [f"{service.name} is down" for service in down[:3]]
    if len(down) > len(problems):
        problems.append(f"{len(down) - len(problems)} more services are down")
    if view.store.problem:
        problems.append("the store can't commit")
    kind, text = _GOOD, "All is well"
    if problems:
        kind, text = _BAD, "; ".join(problems)
        text = text[:1].upper() + text[1:] if text.startswith("the ") else text
    elif unknown:
        kind, text = _UNSURE, f"{len(unknown)} of {len(view.services)} services not probed yet"
    refused = sum(number for _, number in view.refusals.counts)
    facts = (
        ("services up", f"{len(view.services) - len(down) - len(unknown)} of {len(view.services)}"),
        ("events waiting", count(view.store.waiting)),
        ("refused", count(refused)),
        ("meters over limit", count(len(view.offenders))),
    )
    return fill(
        '<p class="headline {kind}" data-announce><span aria-hidden="true">{sign}</span> {text}</p>'
        "<dl>{facts}</dl>",
        kind=kind,
        sign=_SIGNS[kind],
        text=foreign(text),
        facts=join(
            fill("<div><dt>{label}</dt><dd>{value}</dd></div>", label=label, value=value)
            for label, value in facts
        ),
    )


def _services(services: Sequence[Service]) -> Markup:
    if not services:
        return _note("No services are probed; --services names some.")
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
    state = _sign(_STATES[service.state], service.state.value)
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
        return _sign(_BAD, f"overspent by {ratio(-left)}")
    return fill(
        '<meter min="0" max="1" low="0.25" high="0.5" optimum="1" value="{left}" aria-hidden="true"></meter>'
        " {text}",
        left=f"{min(left, 1.0):.3f}",
        text=ratio(left),
    )


def _figures(figures: Sequence[Figure], none: str, history: History) -> Markup:
    if not figures:
        return _note(none)
    return fill('<ul class="figures">{items}</ul>', items=join(_figure(each, history) for each in figures))


def _figure(figure: Figure, history: History) -> Markup:
    samples = history.of(figure.key)
    write: Callable[[float], str] = partial(amount, unit=figure.unit)
    value, detail = amount(figure.value, figure.unit), figure.detail
    label = figure.label
    if figure.trend is Trend.RATE:
        write = _rate(write)
        latest = samples[-1] if samples else None
        total, value = value, NOTHING if latest is None else write(latest)
        detail = f"{total} in all{', ' if detail else ''}{detail}"
    return fill(
        '<li><h3>{label}</h3><p class="value">{value}</p>{chart}<p class="detail">{detail}</p></li>',
        label=foreign(label),
        value=value,
        chart=sparkline(samples, label, write, figure.ceiling),
        detail=foreign(detail) if detail else EMPTY,
    )


def _rate(write: Callable[[float], str]) -> Callable[[float], str]:
    return lambda value: write(value) + "/s"


def _runs(runs: Sequence[Run]) -> Markup:
    if not runs:
        return _note("No run has ended yet.")
    return table(
        "runs",
        "Pipeline runs that ended lately, the last first",
        [
            Column("Pipeline"),
            Column("Project"),
            Column("Result"),
            Column("Duration", number=True),
            Column("Ended (UTC)"),
            Column("Trace"),
        ],
        [
            [
                link(run.url, foreign(run.pipeline), f"run {run.trace_id}"),
                foreign(run.project),
                _sign(_RESULTS.get(run.result, _UNSURE), run.result),
                NOTHING if run.duration_s is None else duration(run.duration_s),
                moment(run.finished_at),
                _trace(run),
            ]
            for run in runs
        ],
    )


def _trace(run: Run) -> Markup:
    short = fill('<code title="{whole}">{short}</code>', whole=run.trace_id, short=run.trace_id[:8])
    label = fill('<span class="unseen">trace </span>{short}', short=short)
    return link(run.trace_url, label, f"trace {run.trace_id}")


def _deliveries(view: StatusView) -> Markup:
    if not view.deliveries:
        return _note("No deployment has been reported yet.")
    return table(
        "deliveries",
        "Deployments, lead time, change failure rate and time to restore, by project and environment",
        [
            Column("Project"),
            Column("Environment"),
            Column("Days", number=True),
            Column("Deployed", number=True),
            Column("A day", number=True),
            Column("Lead time", number=True),
            Column("Failure rate", number=True),
            Column("Restored in", number=True),
        ],
        [
            [
                foreign(each.project),
                foreign(each.environment),
                count(each.window_days),
                count(each.deployments),
                count(each.deployments_per_day),
                NOTHING if each.lead_time_s is None else duration(each.lead_time_s),
                NOTHING if each.change_failure_rate is None else ratio(each.change_failure_rate),
                NOTHING if each.time_to_restore_s is None else duration(each.time_to_restore_s),
            ]
            for each in view.deliveries
        ],
    )


def _refusals(view: StatusView) -> Markup:
    refusals = view.refusals
    if not refusals.counts:
        return _note("Nothing has been refused since the start.")
    most = max(number for _, number in refusals.counts)
    counts = table(
        "refusal counts",
        "Refusals by reason since the start",
        [Column("Reason"), Column("Times", number=True), Column("Share")],
        [
            [
                fill("<code>{reason}</code>", reason=reason),
                count(number),
                # Drawn, not styled: the policy allows no style attribute.
                fill(
                    '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
                    '<rect width="{width}" height="8"/></svg>',
                    width=f"{100 * number / most:.1f}",
                ),
            ]
            for reason, number in refusals.counts
        ],
    )
    recent = table(
        "refusals",
        "What was refused lately, the last first",
        [
            Column("At (UTC)"),
            Column("Reason"),
            Column("Field"),
            Column("Expected", wide=True),
            Column("Got"),
            Column("Path"),
        ],
        [
            [
                moment(each.at),
                fill("<code>{reason}</code>", reason=each.reason),
                fill("<code>{field}</code>", field=foreign(each.field)),
                foreign(each.expected),
                fill("<code>{got}</code>", got=foreign(each.got)),
                foreign(each.path),
            ]
            for each in refusals.recent
        ],
    )
    return fill('<div class="split">{counts}{recent}</div>', counts=counts, recent=recent)


def _offenders(offenders: Sequence[Offender]) -> Markup:
    if not offenders:
        return _note("No meter is over its limit.")
    return table(
        "offenders",
        "Meters with as many series as they may have, and the label sets turned away most",
        [
            Column("Meter"),
            Column("Overflowed", number=True),
            Column("Turned away most (times, at most)", wide=True),
        ],
        [
            [
                fill("<code>{meter}</code>", meter=each.meter),
                count(each.measurements),
                fill(
                    "<ol>{sets}</ol>",
                    sets=join(
                        fill(
                            '<li><span class="times">{number}</span> <code>{labels}</code></li>',
                            labels=foreign(", ".join(filter(None, labels))),
                            number=count(number),
                        )
                        for labels, number in each.top[:_SHOWN_OFFENDERS]
                    ),
                ),
            ]
            for each in offenders
        ],
    )


def _store(view: StatusView) -> Markup:
    store = view.store
    state = _sign(_BAD, "can't commit") if store.problem else _sign(_GOOD, "commits")
    facts: list[tuple[str, Markup]] = [("State", state)]
    if store.problem:
        facts.append(("Problem", foreign(store.problem)))
    facts.append(("Kind", foreign(store.kind)))
    facts.append(("Waiting", fill("{number} events", number=count(store.waiting))))
    facts += [(label, foreign(text)) for label, text in store.journal]
    return fill(
        '<dl class="facts">{facts}</dl>',
        facts=join(
            fill("<div><dt>{label}</dt><dd>{value}</dd></div>", label=label, value=value)
            for label, value in facts
        ),
    )
