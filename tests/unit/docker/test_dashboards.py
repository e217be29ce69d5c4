"""A lint of the dashboards: what Grafana accepts silently and shows wrongly, refused here."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansflow_dashboards import DASHBOARDS, Expression, expressions, resolve
from ansflow_dashboards.__main__ import DIRECTORY, differences, main, render, write
from grafana_foundation_sdk.models.dashboard import Dashboard, RowPanel
from support.gateway_metrics import GATEWAY_METRICS
from support.standard_metrics import STANDARD_METRICS

EXPRESSIONS = expressions()
DRAWN: list[tuple[Dashboard, Any]] = [  # Any: what a target is depends on the panel's data source
    (board, panel) for board in DASHBOARDS for panel in board.panels or [] if not isinstance(panel, RowPanel)
]
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*|)\{([^}]*)\}")
OF_HISTOGRAM = ("_bucket", "_sum", "_count")

BESIDE = {
    # Made by the Collector's exporter for every resource.
    "target_info": "gauge",
    **{metric.name: metric.type for metric in STANDARD_METRICS + GATEWAY_METRICS},
}
"""What is delivered beside the published names, with its type."""


@pytest.fixture(scope="session")
def published(root: Path) -> dict[str, str]:
    """Return each name that is delivered with its type."""
    catalogue = yaml.safe_load((root / "collector-config" / "published-names.catalogue.yaml").read_text())
    # What a rule records has no instance, so a dashboard's variables would never match it.
    return {entry["name"]: entry["type"] for entry in catalogue if entry["from"]["by"] != "rule"} | BESIDE


def _title(case: Expression) -> str:
    return f"{case.dashboard}: {case.panel}"


def _kind(metric: str, published: dict[str, str]) -> str | None:
    """Return the type of the metric as a selector names it, None if nobody delivers it."""
    if not metric:
        # Any metric's series, which can be counted only.
        return "gauge"
    if metric in published:
        # A histogram has no series under its bare name.
        return None if published[metric] == "histogram" else published[metric]
    for suffix in OF_HISTOGRAM:
        if metric.endswith(suffix) and published.get(metric.removesuffix(suffix)) == "histogram":
            return "counter"
    return None


def test_the_committed_json_is_what_the_code_makes() -> None:
    """What Grafana mounts was generated from the code as it is, and nothing else lies beside it."""
    assert differences(DIRECTORY) == []


def test_check_names_what_is_missing_stale_or_foreign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` fails with one line for each file that differs, and changes nothing."""
    write(tmp_path)
    assert main(["--check", "--directory", str(tmp_path)]) == 0
    (tmp_path / "ansflow-django.json").unlink()
    (tmp_path / "ansflow-overview.json").write_text("{}")
    (tmp_path / "by-hand.json").write_text("{}")
    assert main(["--check", "--directory", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "ansflow-django.json: not written yet; run python -m ansflow_dashboards",
        "by-hand.json: made by no dashboard; run python -m ansflow_dashboards",
        "ansflow-overview.json: differs from what the code makes; run python -m ansflow_dashboards",
    ]
    assert (tmp_path / "by-hand.json").exists()


def test_writing_removes_json_that_no_dashboard_makes(tmp_path: Path) -> None:
    """A dashboard that was dropped from the code is dropped from Grafana too."""
    (tmp_path / "dropped.json").write_text("{}")
    assert main(["--directory", str(tmp_path)]) == 0
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(board.uid or "" for board in DASHBOARDS)


def test_rendering_is_deterministic() -> None:
    """The same dashboard gives the same text, so that --check compares meaning."""
    assert [render(board) for board in DASHBOARDS] == [render(board) for board in DASHBOARDS]


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
def test_a_dashboard_has_an_identity_and_cannot_be_edited(board: Dashboard) -> None:
    """Uid, title, description and tag are set; edits belong in the code, so Grafana refuses them."""
    assert re.fullmatch(r"ansflow-[a-z-]+", board.uid or "")
    assert board.title
    assert board.description
    assert board.tags == ["ansflow"]
    assert board.editable is False


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
def test_a_dashboard_is_templated_by_data_source_job_and_instance(board: Dashboard) -> None:
    """The three variables exist, in the order in which each depends on the one before."""
    variables: list[dict[str, Any]] = [variable.to_json() for variable in board.templating.list_val or []]
    assert [variable["name"] for variable in variables] == ["datasource", "job", "instance"]
    assert variables[0]["query"] == "prometheus"
    for variable in variables[1:]:
        assert variable["datasource"].uid == "${datasource}"
        assert variable["multi"] is True
        assert variable["includeAll"] is True
        assert variable["allValue"] == ".+"


@pytest.mark.parametrize(("board", "panel"), DRAWN, ids=lambda value: str(value.title))
def test_a_panel_says_what_it_shows(board: Dashboard, panel: Any) -> None:
    """Title, description, unit, thresholds and a templated data source are there on every panel."""
    assert panel.title
    assert panel.description
    assert panel.description.endswith(".")
    assert panel.field_config.defaults.unit
    assert panel.field_config.defaults.thresholds.steps
    assert panel.datasource.uid == "${datasource}"
    assert panel.targets
    for target in panel.targets:
        assert target.datasource.uid == "${datasource}"
        assert target.legend_format


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
def test_panels_have_their_own_title_id_and_place(board: Dashboard) -> None:
    """Titles and ids are unique in a dashboard, and no two panels lie over each other or past the edge."""
    panels = board.panels or []
    titles = [panel.title for panel in panels if not isinstance(panel, RowPanel)]
    assert len(set(titles)) == len(titles)
    assert len({panel.id_val for panel in panels}) == len(panels)
    places = [panel.grid_pos for panel in panels]
    assert all(place is not None and place.x + place.w <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        assert one is not None
        assert other is not None
        beside = one.x + one.w <= other.x or other.x + other.w <= one.x
        above = one.y + one.h <= other.y or other.y + other.h <= one.y
        assert beside or above, (one, other)


@pytest.mark.parametrize("case", EXPRESSIONS, ids=_title)
def test_every_selector_is_templated_by_job_and_instance(case: Expression) -> None:
    """No series escapes the dashboard's variables."""
    selectors = SELECTOR.findall(case.expr)
    assert selectors
    assert len(selectors) == case.expr.count("{")
    for _, matchers in selectors:
        assert 'job=~"$job"' in matchers
        assert 'instance=~"$instance"' in matchers


@pytest.mark.parametrize("case", EXPRESSIONS, ids=_title)
def test_every_metric_is_delivered(case: Expression, published: dict[str, str]) -> None:
    """A panel shows published names, or series that the system is known to make."""
    unknown = [metric for metric, _ in SELECTOR.findall(case.expr) if _kind(metric, published) is None]
    assert unknown == []


@pytest.mark.parametrize("case", EXPRESSIONS, ids=_title)
def test_counters_are_summed_rates_and_gauges_are_aggregated(
    case: Expression, published: dict[str, str]
) -> None:
    """Counters appear only as `sum by (…) (rate(…[$__rate_interval]))`, gauges only inside an aggregation."""
    assert not re.findall(r"\[(?!\$__rate_interval\])", case.expr)
    for match in SELECTOR.finditer(case.expr):
        before = case.expr[: match.start()]
        if _kind(match[1], published) == "counter" and not before.endswith("group by (job, instance) ("):
            assert re.search(r"sum by \([a-z_, ]+\) \(rate\($", before), case.expr
            assert case.expr[match.end() :].startswith("[$__rate_interval]))")
        else:
            assert re.search(r"\b(sum|min|max|count|group)( by \([a-z_, ]+\) )?\($", before), case.expr


def test_latency_graphs_ask_for_exemplars() -> None:
    """Every graph over time of a request duration leads from its dots to traces."""
    asking = {
        (board.uid, panel.title): all(target.exemplar for target in panel.targets)
        for board, panel in DRAWN
        if panel.type_val == "timeseries"
        and any("histogram_quantile" in t.expr and "request_duration" in t.expr for t in panel.targets)
    }
    assert len(asking) == 7
    assert all(asking.values())


def test_expressions_covers_every_target() -> None:
    """The list that the end-to-end test runs leaves no target out, and names each by dashboard and panel."""
    targets = [(board.uid, panel.title, target.expr) for board, panel in DRAWN for target in panel.targets]
    assert [tuple(expression) for expression in EXPRESSIONS] == targets
    assert len(targets) > 30


def test_resolving_replaces_the_variables() -> None:
    """A resolved expression is what Grafana sends: nothing of the dashboard is left in it."""
    expr = 'sum(rate(a_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))'
    assert resolve(expr) == 'sum(rate(a_total{job=~".+",instance=~".+"}[5m]))'
    narrowed = {"job": "x", "instance": "y", "__rate_interval": "30s"}
    assert resolve(expr, narrowed) == 'sum(rate(a_total{job=~"x",instance=~"y"}[30s]))'


def test_resolving_refuses_a_variable_without_a_value() -> None:
    """A variable that nobody fills in is an error rather than an empty panel."""
    with pytest.raises(KeyError):
        resolve('up{job=~"$cluster"}')
