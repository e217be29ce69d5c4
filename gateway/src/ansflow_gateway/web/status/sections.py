"""The page's sections, each rendered by itself: the whole page and its live updates are made of them."""

from collections.abc import Mapping

from ansflow_gateway.web.status.event_tables import (
    deliveries_table,
    offenders_table,
    refusals_tables,
    runs_table,
)
from ansflow_gateway.web.status.figures import figures_list
from ansflow_gateway.web.status.history import History
from ansflow_gateway.web.status.markup import Markup, fill, foreign, join
from ansflow_gateway.web.status.services import services_table
from ansflow_gateway.web.status.signs import BAD, GOOD, SIGNS, UNSURE, sign
from ansflow_gateway.web.status.source import ServiceState, StatusView
from ansflow_gateway.web.status.wording import count

Sections = Mapping[str, Markup]
"""The inner HTML of each section, by its id."""


def render(view: StatusView, history: History) -> Sections:
    """Render all sections.

    Args:
        view: What is to be shown.
        history: What the charts show.

    Returns:
        The sections, in the page's order.
    """
    return {
        "summary": _summary(view),
        "services": services_table(view.services),
        "system": figures_list(view.readings.system, "No reading of the host yet, or none of late.", history),
        "business": figures_list(view.readings.business, "No events yet.", history),
        "runs": runs_table(view.runs),
        "deliveries": deliveries_table(view.deliveries),
        "refusals": refusals_tables(view.refusals),
        "offenders": offenders_table(view.offenders),
        "store": _store(view),
    }


def _summary(view: StatusView) -> Markup:
    down = [service for service in view.services if service.state is ServiceState.DOWN]
    unknown = [service for service in view.services if service.state is ServiceState.UNKNOWN]
    problems = [f"{service.name} is down" for service in down[:3]]
    if len(down) > len(problems):
        problems.append(f"{len(down) - len(problems)} more services are down")
    if view.store.problem:
        problems.append("the store can't commit")
    kind, text = GOOD, "All is well"
    if problems:
        kind, text = BAD, "; ".join(problems)
        text = text[:1].upper() + text[1:] if text.startswith("the ") else text
    elif unknown:
        kind, text = UNSURE, f"{len(unknown)} of {len(view.services)} services not probed yet"
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
        sign=SIGNS[kind],
        text=foreign(text),
        facts=join(
            fill("<div><dt>{label}</dt><dd>{value}</dd></div>", label=label, value=value)
            for label, value in facts
        ),
    )


def _store(view: StatusView) -> Markup:
    store = view.store
    state = sign(BAD, "can't commit") if store.problem else sign(GOOD, "commits")
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
