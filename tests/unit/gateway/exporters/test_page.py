"""The page: it says what the table says, after whatever changes, in both formats."""

import gzip
import math
import subprocess
from collections.abc import Callable, Iterable

import pytest
from ansflow_gateway.exporters.page import BLOCK_SIZE, Pacer, TablePage
from ansflow_gateway.exporters.prometheus import PrometheusPage
from ansflow_gateway.meters import business
from ansflow_gateway.meters.declaration import Declaration, Kind
from ansflow_gateway.meters.points import HistogramPoint
from ansflow_gateway.meters.series import TableMeter
from ansflow_gateway.meters.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as open_metrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text
from support.programs import find_binary
from support.tables import ACTIVE, CALLS, DURATION, IO, METERS, SHARE, SPAN, TRACE, empty_table, filled_table

OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
TEXT = "text/plain;version=0.0.4"

parse_open_metrics: Callable[[str], Iterable[Metric]] = open_metrics_parser.text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

FAMILIES = {
    "test.calls": "test_calls_total",
    "test.io": "test_io_bytes_total",
    "test.active": "test_active",
    "test.share": "test_share_ratio",
    "test.duration": "test_duration_seconds",
}
"""What each meter is called on the page."""


def samples_of_page(families: Iterable[Metric]) -> Samples:
    """Index a parsed page's samples; no series may be there twice."""
    samples: Samples = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples
            samples[key] = sample.value
    return samples


def samples_of_table(table: Table) -> Samples:
    """Say what a page must have, from the table itself."""
    samples: Samples = {}
    for meter in METERS:
        name = FAMILIES[meter.declaration.name]
        for series in table.series(meter):
            labels = {
                key.replace(".", "_"): value.encode(errors="replace").decode()
                for key, value in series.attributes.items()
            }
            point = series.point
            if not isinstance(point, HistogramPoint):
                samples[name, frozenset(labels.items())] = point
                continue
            samples[f"{name}_count", frozenset(labels.items())] = point.count
            samples[f"{name}_sum", frozenset(labels.items())] = point.sum
            for place, bound in enumerate((*meter.declaration.bounds, math.inf)):
                bucket = labels | {"le": "+Inf" if bound == math.inf else str(bound)}
                samples[f"{name}_bucket", frozenset(bucket.items())] = sum(point.buckets[: place + 1])
    return samples


def text_of(page: TablePage) -> str:
    """Render a table's part of the page."""
    return b"".join(page.blocks(Pacer())).decode()


LABEL = st.text(st.characters(), max_size=4) | st.sampled_from(
    ["", '"', "\\", "\\n", "\n", '\\"', "}", "{", ",", "=", " ", "# EOF", "\r\n", "\u2028", "é", "\ud800"]
)
VALUE = st.integers(0, 10**6) | st.floats(0, 1e12, allow_nan=False)
CHANGE = st.one_of(
    st.tuples(st.just("add"), st.tuples(LABEL, LABEL), VALUE),
    st.tuples(st.just("io"), st.just(("", "")), VALUE),
    st.tuples(st.just("active"), st.tuples(LABEL, LABEL), st.integers(-5, 5)),
    st.tuples(st.just("share"), st.tuples(LABEL, LABEL), st.floats(allow_nan=False)),
    st.tuples(st.just("record"), st.tuples(LABEL, LABEL), VALUE),
    st.tuples(st.just("remove"), st.tuples(LABEL, LABEL), st.just(0)),
)


def change(table: Table, kind: str, labels: tuple[str, str], value: float) -> None:
    """Make one change of a table, as its owner does."""
    with table.lock:
        match kind:
            case "add":
                table.add(CALLS, labels, value, 1.0)
            case "io":
                table.add(IO, (), value, 1.0)
            case "active":
                table.set(ACTIVE, labels[:1], value, 1.0)
            case "share":
                table.set(SHARE, labels[:1], value, 1.0)
            case "record":
                table.record(DURATION, labels[:1], value, 1.0, (TRACE, SPAN) if value else None)
            case "remove":
                for meter in (ACTIVE, SHARE):
                    for series in table.series(meter):
                        if labels[0] < series.labels[0]:
                            table.remove(meter, series.labels)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(CHANGE, max_size=12), min_size=1, max_size=5))
def test_the_page_is_the_table(rounds: list[list[tuple[str, tuple[str, str], float]]]) -> None:
    """After any changes, scraped in between, each sample is the table's and none is missing."""
    table = empty_table()
    text, open_metrics = TablePage(table, open_metrics=False), TablePage(table, open_metrics=True)
    for changes in rounds:
        for kind, labels, value in changes:
            change(table, kind, labels, value)
        expected = samples_of_table(table)
        assert samples_of_page(parse_text(text_of(text))) == expected
        assert samples_of_page(parse_open_metrics(text_of(open_metrics) + "# EOF\n")) == expected


def test_only_what_changed_is_rendered_again() -> None:
    """Blocks without a changed series are the very objects of the scrape before."""
    table = empty_table(limit=10 * BLOCK_SIZE)
    for number in range(5 * BLOCK_SIZE):
        change(table, "add", (f"peer-{number}", "success"), 1)
    page = TablePage(table, open_metrics=False)
    before = list(page.blocks(Pacer()))
    change(table, "add", (f"peer-{BLOCK_SIZE}", "success"), 1)
    after = list(page.blocks(Pacer()))
    assert [one is other for one, other in zip(before, after, strict=True)] == [
        *(True, True, False),  # the head and the first block, then the second
        *(True, True, True),
    ]
    assert f'peer_name="peer-{BLOCK_SIZE}",outcome="success"}} 2\n' in after[2].decode()


def test_places_of_removed_series_are_taken_again() -> None:
    """Gauges that come and go leave no growing page behind."""
    table = empty_table()
    page = TablePage(table, open_metrics=False)
    for number in range(5 * BLOCK_SIZE):
        change(table, "active", (f"peer-{number}", ""), 1)
        assert text_of(page).count("\n") == 3
        with table.lock:
            table.remove(ACTIVE, (f"peer-{number}",))
        assert text_of(page) == ""
    change(table, "active", ("last", ""), 1)
    assert len(list(page.blocks(Pacer()))) == 2


def test_the_text_of_a_page() -> None:
    """Heads, labels and numbers are written as both formats have them."""
    assert text_of(TablePage(filled_table(), open_metrics=False)) == (
        '# HELP test_calls_total A "counter"\\nover \\\\ two lines\n'
        "# TYPE test_calls_total counter\n"
        'test_calls_total{peer_name="db",outcome="success"} 2\n'
        'test_calls_total{peer_name="db"} 1.5\n'
        '# HELP test_io_bytes_total A "observable counter"\\nover \\\\ two lines\n'
        "# TYPE test_io_bytes_total counter\n"
        "test_io_bytes_total 2.0\n"
        '# HELP test_active A "observable updowncounter"\\nover \\\\ two lines\n'
        "# TYPE test_active gauge\n"
        'test_active{peer_name="db"} 3\n'
        '# HELP test_share_ratio A "observable gauge"\\nover \\\\ two lines\n'
        "# TYPE test_share_ratio gauge\n"
        'test_share_ratio{peer_name="db"} 0.25\n'
        '# HELP test_duration_seconds A "histogram"\\nover \\\\ two lines\n'
        "# TYPE test_duration_seconds histogram\n"
        'test_duration_seconds_bucket{peer_name="db",le="0.5"} 0\n'
        'test_duration_seconds_bucket{peer_name="db",le="1.0"} 1\n'
        'test_duration_seconds_bucket{peer_name="db",le="10.0"} 1\n'
        'test_duration_seconds_bucket{peer_name="db",le="+Inf"} 2\n'
        'test_duration_seconds_count{peer_name="db"} 2\n'
        'test_duration_seconds_sum{peer_name="db"} 20.75\n'
    )
    open_metrics = text_of(TablePage(filled_table(), open_metrics=True))
    assert '# HELP test_io_bytes A \\"observable counter\\"\\nover' in open_metrics
    assert (
        "# TYPE test_io_bytes counter\n# UNIT test_io_bytes bytes\ntest_io_bytes_total 2.0\n" in open_metrics
    )


def test_exemplars_are_on_their_buckets() -> None:
    """In OpenMetrics the bucket of a measurement resolves to its trace."""
    families = parse_open_metrics(text_of(TablePage(filled_table(), open_metrics=True)) + "# EOF\n")
    with_exemplars = [
        sample for family in families for sample in family.samples if sample.exemplar is not None
    ]
    (sample,) = with_exemplars
    assert sample.exemplar
    assert (sample.name, sample.labels["le"]) == ("test_duration_seconds_bucket", "1.0")
    assert sample.exemplar.labels == {"trace_id": TRACE.hex(), "span_id": SPAN.hex()}
    assert (sample.exemplar.value, float(sample.exemplar.timestamp or 0)) == (0.75, 1.0)


@pytest.fixture
def whole_page() -> PrometheusPage:
    """Give a page of a filled table and of the SDK's instruments."""
    page = PrometheusPage(filled_table())
    meter = MeterProvider(
        metric_readers=[page.reader], resource=Resource({"service.name": "s"}), shutdown_on_exit=False
    ).get_meter("meter")
    meter.create_counter("sdk.calls", "{call}", "Calls").add(2, {"peer": "db"})
    meter.create_histogram("sdk.duration", "s", "Time of a call").record(0.5)
    return page


@pytest.mark.parametrize("accept", [OPEN_METRICS, TEXT, "", f"{OPEN_METRICS};escaping=dots"])
def test_the_table_and_the_sdk_are_on_one_page(whole_page: PrometheusPage, accept: str) -> None:
    """Both parts are there, `target_info` and the end once, at every scrape alike, compressed or not."""
    page = whole_page.render(accept, "")
    is_open_metrics = page.content_type.startswith("application/openmetrics-text")
    assert is_open_metrics is accept.startswith("application/openmetrics-text")
    text = page.body.decode()
    families = list((parse_open_metrics if is_open_metrics else parse_text)(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert {"sdk_calls", "sdk_duration_seconds", "test_calls", "test_duration_seconds"} <= set(names)
    assert samples_of_table(filled_table()).items() <= samples_of_page(families).items()
    assert text.count("# EOF\n") == text.endswith("# EOF\n") == is_open_metrics
    assert text.count("target_info{") == 1
    compressed = whole_page.render(accept, "gzip")
    assert (page.encoding, compressed.encoding) == (None, "gzip")
    assert gzip.decompress(compressed.body) == page.body


def test_a_page_without_a_table_is_the_sdks() -> None:
    """Where there is no table yet the SDK's part ends as a page does; the table joins when it is there."""
    page = PrometheusPage()
    meter = MeterProvider(metric_readers=[page.reader], shutdown_on_exit=False).get_meter("meter")
    meter.create_counter("sdk.calls").add(2)
    text = page.render(OPEN_METRICS, "").body.decode()
    samples = samples_of_page(parse_open_metrics(text))
    assert samples["sdk_calls_total", frozenset()] == 2
    page.table = filled_table()
    text = page.render(OPEN_METRICS, "").body.decode()
    assert samples_of_page(parse_open_metrics(text)) == samples | samples_of_table(page.table)


def test_names_that_would_collide_are_refused() -> None:
    """Two meters with one name, or two labels, would make a page that Prometheus refuses as a whole."""

    def meter(name: str, labels: tuple[str, ...] = ()) -> TableMeter:
        return TableMeter(Declaration(name, Kind.OBSERVABLE_GAUGE, "", "", frozenset(labels)), labels)

    with pytest.raises(ValueError, match="one name in Prometheus"):
        TablePage(Table([meter("a.b"), meter("a_b")], 10), open_metrics=True)
    with pytest.raises(ValueError, match="distinct in Prometheus"):
        TablePage(Table([meter("a", ("b.c", "b_c"))], 10), open_metrics=True)


def promtool_findings(page: str) -> set[str]:
    """Let Prometheus' own tool read a page, and return what it has to say."""
    promtool = find_binary("promtool", "ANSFLOW_PROMTOOL")
    command = [str(promtool), "check", "metrics"]
    answer = subprocess.run(command, input=page, capture_output=True, text=True, check=False, timeout=60)
    return set((answer.stdout + answer.stderr).splitlines())


def test_promtool_has_nothing_to_say(whole_page: PrometheusPage) -> None:
    """Prometheus' own parser takes the page, and its rules for names and help texts find nothing."""
    assert promtool_findings(whole_page.render(TEXT, "").body.decode()) == set()


def test_promtool_takes_all_meters_of_the_business() -> None:
    """Each declared meter has a page of good form; the conventions' own `count` is all that is found."""
    table = Table(business.METERS, 10)
    for meter in business.METERS:
        labels = tuple("x" for _ in meter.labels)
        with table.lock:
            match meter.declaration.kind:
                case Kind.HISTOGRAM:
                    table.record(meter, labels, 1.0, 1.0)
                case Kind.COUNTER:
                    table.add(meter, labels, 1, 1.0)
                case _:
                    table.set(meter, labels, 1, 1.0)
    text = text_of(TablePage(table, open_metrics=False))
    assert text.count("# TYPE ") == len(business.METERS)
    assert promtool_findings(text) == {
        'cicd_worker_count non-histogram and non-summary metrics should not have "_count" suffix'
    }
