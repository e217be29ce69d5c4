"""Figures with their charts."""

from collections.abc import Callable, Sequence
from functools import partial

from ansflow_gateway.web.status.chart import sparkline
from ansflow_gateway.web.status.history import History
from ansflow_gateway.web.status.markup import EMPTY, Markup, fill, foreign, join
from ansflow_gateway.web.status.signs import note
from ansflow_gateway.web.status.source import Figure, Trend
from ansflow_gateway.web.status.wording import NOTHING, amount


def figures_list(figures: Sequence[Figure], none: str, history: History) -> Markup:
    """Render figures, each with its chart.

    Args:
        figures: The figures.
        none: What is said where there are none.
        history: What the charts show.

    Returns:
        The HTML.
    """
    if not figures:
        return note(none)
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
