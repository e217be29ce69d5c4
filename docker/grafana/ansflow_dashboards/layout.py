"""A dashboard from rows of panels: variables, links, identity and everything that all dashboards share."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.models import dashboard as model

from .panels import DATASOURCE, Panel

TAG = "ansflow"
"""Carried by every dashboard, and how they link to each other."""


@dataclass(frozen=True)
class Section:
    """A titled row of panels, which flow over lines of 24 columns."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Page:
    """What distinguishes one dashboard from another.

    Attributes:
        uid: Stable, part of the URL.
        title: As shown in lists.
        description: What the dashboard answers.
        jobs_of: PromQL selector whose series' jobs the `job` variable offers.
        sections: Top to bottom.
    """

    uid: str
    title: str
    description: str
    jobs_of: str
    sections: Sequence[Section]


def build(page: Page) -> model.Dashboard:
    """Return the page as Grafana's model: templated, linked, read-only, with numbered panels."""
    builder = (
        Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_links_to_others())
        .variables(
            [_datasource(), _label("job", "Job", page.jobs_of), _label("instance", "Instance", _OF_JOB)]
        )
    )
    for section in page.sections:
        builder.with_row(Row(section.title))
        for panel in section.panels:
            builder.with_panel(panel)
    built = builder.build()
    for number, numbered in enumerate(built.panels or [], start=1):
        numbered.id_val = number
    return built


_OF_JOB = 'target_info{job=~"$job"}'


def _datasource() -> DatasourceVariable:
    return DatasourceVariable("datasource").label("Data source").type("prometheus")


def _label(name: str, label: str, selector: str) -> QueryVariable:
    # `.+` instead of the list of all values: it keeps the URL short and includes what comes while one looks.
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": f"label_values({selector}, {name})", "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _links_to_others() -> DashboardLink:
    return (
        DashboardLink("AnsFlow dashboards")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
    )
