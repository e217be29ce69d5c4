"""Which dashboards there are, and every PromQL expression in them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from grafana_foundation_sdk.models.dashboard import Dashboard, RowPanel
from grafana_foundation_sdk.models.prometheus import Dataquery

from .delivery import DELIVERY_PAGE
from .dependencies import DEPENDENCIES_PAGE
from .django import DJANGO_PAGE
from .fastapi import FASTAPI_PAGE
from .gateway import GATEWAY_PAGE
from .layout import build
from .overview import OVERVIEW
from .workers import WORKERS_PAGE

DASHBOARDS: tuple[Dashboard, ...] = tuple(
    build(page)
    for page in (
        OVERVIEW,
        FASTAPI_PAGE,
        DJANGO_PAGE,
        DEPENDENCIES_PAGE,
        WORKERS_PAGE,
        DELIVERY_PAGE,
        GATEWAY_PAGE,
    )
)

EVERYTHING: Mapping[str, str] = {"job": ".+", "instance": ".+", "__rate_interval": "5m"}
"""What stands in for the variables when "All" is chosen; any interval of several scrapes will do."""


class Expression(NamedTuple):
    """One target of one panel.

    Attributes:
        dashboard: The dashboard's uid.
        panel: The panel's title, unique in its dashboard.
        expr: PromQL with `$job`, `$instance` and `$__rate_interval` still in it.
    """

    dashboard: str
    panel: str
    expr: str


def expressions() -> list[Expression]:
    """Return every expression of every dashboard, in the order in which they are shown."""
    return [Expression(board.uid or "", title, expr) for board in DASHBOARDS for title, expr in _of(board)]


def resolve(expr: str, values: Mapping[str, str] = EVERYTHING) -> str:
    """Return the expression with its variables replaced, as Grafana sends it to Prometheus.

    Args:
        expr: As `expressions` gives it.
        values: What to put in, by the variable's name without `$`; by default what "All" stands for.

    Raises:
        KeyError: A variable of the expression has no value.
    """
    # Longest name first, so that no name replaces the beginning of another.
    for name in sorted(values, key=len, reverse=True):
        expr = expr.replace(f"${name}", values[name])
    if "$" in expr:
        raise KeyError(expr)
    return expr


def _of(board: Dashboard) -> Iterator[tuple[str, str]]:
    for panel in board.panels or []:
        if isinstance(panel, RowPanel):
            continue
        for target in panel.targets or []:
            if isinstance(target, Dataquery):
                yield panel.title or "", target.expr
