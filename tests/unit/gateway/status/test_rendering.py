"""What the page says of a view, and that nothing in a view can say more than text."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from ansflow_gateway.web.status import wording
from ansflow_gateway.web.status.chart import HEIGHT, sparkline
from ansflow_gateway.web.status.history import LENGTH, MAX_FIGURES, History
from ansflow_gateway.web.status.markup import Markup, fill, link
from ansflow_gateway.web.status.page import PageInfo, render_page
from ansflow_gateway.web.status.sections import render
from ansflow_gateway.web.status.source import (
    Availability,
    Figure,
    Readings,
    Service,
    ServiceState,
    StatusView,
    Store,
    Trend,
    Unit,
)
from hypothesis import given
from hypothesis import strategies as st
from support.status import EMPTY_VIEW, HOSTILE, full_view, hostile_view

VOID = {"meta", "link", "rect", "polyline", "polygon"}


@dataclass
class Document(HTMLParser):
    """The elements of a page: tags with attributes, and all text; unbalanced tags are an error."""

    html: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()
        assert not self.open_tags

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is closed at once."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Note its end."""
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        """Give the attributes of all elements of a kind."""
        return (attributes for name, attributes in self.elements if name == tag)


def page_of(view: StatusView, history: History | None = None) -> Document:
    """Render a whole page and parse it."""
    return Document(render_page(PageInfo("1.2.3"), render(view, history or History())))


def test_an_empty_view_says_what_is_not_there() -> None:
    """Before anything happened each section says so, and there is no table, no chart and no alarm."""
    page = page_of(EMPTY_VIEW)
    for note in ("No services are probed", "No reading of the host yet", "No run has ended", "No deployment"):
        assert note in page.text
    assert "Nothing has been refused" in page.text
    assert "No meter is over its limit" in page.text
    assert "All is well" in page.text
    assert not list(page.all("table"))


def test_a_full_view_is_shown_whole() -> None:
    """Every kind of fact appears: states in words, figures, links to run and trace, reasons, label sets."""
    page = page_of(full_view())
    for fact in (
        "fastapi is down",
        "timed out after 5 s",
        "failing: queue",
        "99.980\u202f%",
        "overspent by 80.0\u202f%",
        "37.2\u202f%",
        "1.20\u202fM in all",
        "nightly-regression-tests",
        "cancellation",
        "12.4\u202fs",
        "production",
        "47\u202fmin 00\u202fs",
        "success, failure, error, timeout, cancellation or skip",
        "preview-8812",
        "9,412",
        "1,204,331 events",
    ):
        assert fact in page.text, fact
    links = {attributes["href"] for attributes in page.all("a")}
    assert {"https://ci.example/runs/0", "/metrics", "/health/", "#main"} <= links
    assert any(href and href.startswith("https://grafana.example/explore") for href in links)


def test_sections_are_headed_in_order_and_tables_have_captions() -> None:
    """One h1, no level skipped; each table has a caption, column heads and row heads, each key is unique."""
    page = page_of(full_view())
    levels = [int(tag[1]) for tag, _ in page.elements if tag in {"h1", "h2", "h3"}]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(list(page.all("table"))) == len(list(page.all("caption"))) == 6
    scopes = {attributes.get("scope") for attributes in page.all("th")}
    assert scopes == {"col", "row"}
    for name in ("id", "data-key"):
        given = [attributes[name] for _, attributes in page.elements if name in attributes]
        assert len(given) == len(set(given))


def test_hostile_texts_stay_texts() -> None:
    """Markup in any foreign text is shown as text; no element, handler, style or address comes of it."""
    history = History()
    view = hostile_view()
    history.record(view.readings.business, 0.0)
    page = page_of(view, history)
    (script,) = page.all("script")
    assert str(script["src"]).startswith("/static/")
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src"):
            # The one http address among them is an address, whatever else it tries to be.
            assert (attributes.get(name) or "/").startswith(("/", "#", "http://x/"))
    assert "<script>alert(1)</script>" in page.text
    page.html.encode()  # the lone surrogate is gone


@given(st.text())
def test_any_text_is_escaped_and_read_back(text: str) -> None:
    """What a parser reads out of a filled template is the text that was put in, in texts and attributes."""
    parsed = Document(fill('<p title="{text}">{text}</p>', text=text))
    shown = text.encode("utf-8", "replace").decode()
    ((_, attributes),) = parsed.elements
    assert attributes["title"] == shown
    # The parser drops nothing of a text but a carriage return's difference, which HTML doesn't keep either.
    assert parsed.text == shown


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example",
        "/relative",
        "http://",
        "ftp://example.com/x",
    ],
)
def test_only_http_addresses_become_links(url: str | None) -> None:
    """Anything else is its label alone."""
    assert link(url, Markup("x"), "k") == "x"


def test_a_link_tells_nobody_where_it_came_from() -> None:
    """An http address is a link, escaped."""
    made = link("https://ci.example/run?a=1&b=%22", Markup("run"), 'k"')
    (attributes,) = Document(made).all("a")
    assert attributes == {"href": "https://ci.example/run?a=1&b=%22", "rel": "noreferrer", "data-key": 'k"'}


def test_the_headline_names_what_is_wrong() -> None:
    """Down services by name, at most three, then how many more; the store's problem; unprobed services."""
    down = tuple(Service(f"s{number}", ServiceState.DOWN) for number in range(5))
    text = page_of(replace(EMPTY_VIEW, services=down, store=Store("SQLite", 9, "the disk is full"))).text
    assert "s0 is down; s1 is down; s2 is down; 2 more services are down; the store can't commit" in text
    assert "the disk is full" in text
    unknown = (Service("a", ServiceState.UNKNOWN), Service("b", ServiceState.UP))
    assert "1 of 2 services not probed yet" in page_of(replace(EMPTY_VIEW, services=unknown)).text


def test_a_state_has_a_sign_and_a_word() -> None:
    """Without its colour a state still reads."""
    html = render(full_view(), History())["services"]
    assert '<span aria-hidden="true">✓</span> up' in html
    assert '<span aria-hidden="true">✕</span> down' in html
    assert '<span aria-hidden="true">○</span> unknown' in html


def test_an_error_budget_is_never_shown_better_than_it_is() -> None:
    """Availability just below all isn't rounded to it; what is overspent has no bar."""
    assert wording.availability(0.9999999) == "99.999\u202f%"
    assert wording.availability(1.0) == "100\u202f%"
    service = Service("a", ServiceState.UP, availability=(Availability("30d", 0.99, -19.0),))
    html = render(replace(EMPTY_VIEW, services=(service,)), History())["services"]
    assert "overspent by 1900.0\u202f%" in html
    assert "<meter" not in html


def test_history_is_bounded_and_forgets() -> None:
    """At most LENGTH samples of MAX_FIGURES figures; one that is gone leaves a gap, and then nothing."""
    history = History()
    for second in range(LENGTH + 5):
        history.record([Figure("a", "a", second, Unit.COUNT)], second)
    assert history.of("a") == tuple(float(second) for second in range(5, LENGTH + 5))
    history.record([Figure(str(n), "", n, Unit.COUNT) for n in range(MAX_FIGURES * 2)], 1000)
    assert history.of("a")[-1] is None
    assert history.of(str(MAX_FIGURES * 2 - 1)) == ()
    for second in range(LENGTH):
        history.record([], 1001 + second)
    assert history.of("a") == ()


def test_a_sum_is_charted_as_its_growth() -> None:
    """Growth is a second's; the first sample has none, nor has one after the sum began anew."""
    history = History()
    for second, value in ((0, 100.0), (5, 150.0), (10, 150.0), (15, 3.0), (20, 13.0)):
        history.record([Figure("a", "a", value, Unit.COUNT, Trend.RATE)], second)
    assert history.of("a") == (None, 10.0, 0.0, None, 2.0)


def test_a_chart_has_words_gaps_and_stays_inside() -> None:
    """A gap parts the line; all points are in the box, the latest at its right edge; the title tells it."""
    html = sparkline((1.0, None, 5.0, 2.0), "CPU", wording.count, 4.0)
    chart = Document(html)
    assert chart.text == "CPU: 1 to 5 lately, 2 at last"
    lines = [str(attributes["points"]) for attributes in chart.all("polyline")]
    assert len(lines) == 2
    points = [tuple(map(float, point.split(","))) for line in lines for point in line.split()]
    assert all(0 <= x <= LENGTH and 0 <= y <= HEIGHT for x, y in points)
    assert points[-1][0] == LENGTH


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0123, "12 ms"),
        (0.9999, "1.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7261, "2 h 01 min"),
        (356_400, "4 d 03 h"),
    ],
)
def test_durations_are_written_in_two_units(seconds: float, text: str) -> None:
    """Rounding never gives sixty of a unit."""
    assert wording.duration(seconds).replace("\u202f", " ") == text


def test_a_time_that_no_calendar_has_is_not_shown() -> None:
    """Producers choose times; one out of range is no error."""
    for at in (float("inf"), float("nan"), 1e300, -1e300):
        assert wording.moment(at) == wording.NOTHING
    assert 'datetime="2027-01-15T08:00:00Z"' in wording.moment(1_800_000_000.0)


def test_figures_beyond_the_charts_are_still_shown() -> None:
    """A figure without samples has its value and says that there are none."""
    view = replace(EMPTY_VIEW, readings=Readings((Figure("x", "Load", None, Unit.COUNT),)))
    html = render(view, History())["system"]
    assert "Load: no samples yet" in html
    assert f'<p class="value">{wording.NOTHING}</p>' in html


def test_hostile_text_is_what_it_should_be() -> None:
    """The attack that the other tests rely on holds what breaks out of texts and attributes."""
    assert {"<", ">", '"', "'", "&"} <= set(HOSTILE)
