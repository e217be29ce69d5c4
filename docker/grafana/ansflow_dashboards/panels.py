"""The kinds of panel that the dashboards are made of, with what every panel must have as arguments."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, ValueMap, ValueMappingResult
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from . import thresholds
from .queries import Query

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
"""Every panel's data source is the dashboard's variable."""

FULL, HALF, THIRD, QUARTER = 24, 12, 8, 6
"""Widths, of Grafana's 24 columns."""

Panel = timeseries.Panel | stat.Panel | statetimeline.Panel | heatmap.Panel


def graph(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    *,
    limit: thresholds.Limit | thresholds.Floor | None = None,
    width: int = HALF,
) -> timeseries.Panel:
    """Return a graph over time.

    Args:
        title: What is shown, a few words.
        description: What it means and what to look for; shown behind the panel's (i).
        unit: Grafana's unit id, such as `s` or `percentunit`.
        queries: What is drawn.
        limit: Drawn as a dashed line, None for a quantity without one.
        width: In columns of 24.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .thresholds(limit.steps() if limit else thresholds.none())
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["mean", "max", "lastNotNull"])
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .targets(list(_targets(queries)))
    )
    if limit:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    *,
    limit: thresholds.Limit | thresholds.Floor | None = None,
    width: int = QUARTER,
    decimals: int | None = None,
) -> stat.Panel:
    """Return the latest value as a large number with its recent course behind it; arguments as of `graph`.

    Args:
        title: See `graph`.
        description: See `graph`.
        unit: See `graph`.
        queries: See `graph`.
        limit: Where the number's colour changes, None for a quantity without one.
        width: In columns of 24.
        decimals: Digits after the point, where the usual ones would hide a difference.
    """
    panel = (
        _stat(title, description, unit, queries, width)
        .graph_mode(BigValueGraphMode.AREA)
        .thresholds(limit.steps() if limit else thresholds.none())
    )
    return panel if decimals is None else panel.decimals(decimals)


def status(title: str, description: str, queries: Sequence[Query], *, width: int = HALF) -> stat.Panel:
    """Return a 0/1 status as words, red for 0."""
    return (
        _stat(title, description, "none", queries, width)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.BACKGROUND)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .mappings([_up_or_down()])
        .thresholds(thresholds.healthy_from_one())
    )


def status_history(
    title: str, description: str, queries: Sequence[Query], *, width: int = HALF
) -> statetimeline.Panel:
    """Return a 0/1 status over time, one band a series."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit("none")
        .span(width)
        .height(8)
        .show_value(VisibilityMode.NEVER)
        .mappings([_up_or_down()])
        .thresholds(thresholds.healthy_from_one())
        .targets(list(_targets(queries)))
    )


def distribution(
    title: str, description: str, unit: str, query: Query, *, width: int = HALF
) -> heatmap.Panel:
    """Return a histogram over time as a heat map; the query sums by `le`, the unit is the buckets'."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit("short")
        .span(width)
        .height(8)
        .thresholds(thresholds.none())
        .calculate(False)
        .color(_heat())
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .mode(TooltipDisplayMode.SINGLE)
        .targets([target.format(PromQueryFormat.HEATMAP) for target in _targets([query])])
    )


def _heat() -> heatmap.HeatmapColorOptions:
    return heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)


def _stat(title: str, description: str, unit: str, queries: Sequence[Query], width: int) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(width)
        .height(6)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .targets(list(_targets(queries)))
    )


def _targets(queries: Sequence[Query]) -> Sequence[prometheus.Dataquery]:
    return [
        prometheus.Dataquery()
        .ref_id(chr(ord("A") + index))
        .datasource(DATASOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(query.exemplars)
        .editor_mode(QueryEditorMode.CODE)
        .range()
        for index, query in enumerate(queries)
    ]


def _up_or_down() -> ValueMap:
    return ValueMap(
        options={
            "0": ValueMappingResult(text="failing", color=thresholds.RED, index=0),
            "1": ValueMappingResult(text="passing", color=thresholds.GREEN, index=1),
        }
    )
