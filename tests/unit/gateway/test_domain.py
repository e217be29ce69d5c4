"""Rules that need no server: the catalogue's guard, label limits, bounded renderings."""

import tracemalloc

import pytest
from ansflow_gateway.domain import strict_json
from ansflow_gateway.domain.active_projects import ActiveProjects
from ansflow_gateway.domain.labels import LabelSetLimiter
from ansflow_gateway.domain.rejection import GOT_LIMIT, render
from ansflow_gateway.errors import UndeclaredError
from ansflow_gateway.meters import business, catalogue
from ansflow_gateway.meters.instruments import Instruments
from opentelemetry.metrics import NoOpMeter
from support.gateway import Clock


@pytest.fixture
def instruments() -> Instruments:
    """Give the catalogue's instruments, recording nowhere."""
    return Instruments(NoOpMeter("tests"))


def test_an_undeclared_attribute_is_refused(instruments: Instruments) -> None:
    """A label that the catalogue doesn't list can't be recorded by mistake."""
    with pytest.raises(UndeclaredError, match="doesn't declare user_id"):
        instruments.record(catalogue.HEALTH_DURATION, 1, {"service": "a", "user_id": "c"})


def test_an_undeclared_instrument_is_refused(instruments: Instruments) -> None:
    """A declaration beside the catalogue, even under a known name, records nothing."""
    stranger = catalogue.Declaration("ansflow.health_check.duration", catalogue.Kind.HISTOGRAM, "1", "")
    with pytest.raises(UndeclaredError, match="doesn't declare the instrument"):
        instruments.record(stranger, 1, {})


def test_an_instrument_is_used_as_what_it_is(instruments: Instruments) -> None:
    """A histogram isn't observed, a counter not recorded into, nor what the table has."""
    with pytest.raises(UndeclaredError, match="declared as a observable counter"):
        instruments.record(catalogue.EVENTS_SPOOLED, 1, {})
    with pytest.raises(UndeclaredError, match="not observable"):
        instruments.observe(catalogue.HEALTH_DURATION, list)
    with pytest.raises(UndeclaredError, match="declared as a histogram"):
        instruments.record(business.RUN_DURATION.declaration, 1, {})


def test_names_follow_the_conventions() -> None:
    """No unit and no `_total` in a name; buckets rise; the catalogue is keyed by name."""
    for name, declared in catalogue.CATALOGUE.items():
        assert name == declared.name
        assert not name.endswith(("_total", ".seconds", ".bytes", ".total"))
        assert list(declared.bounds) == sorted(set(declared.bounds))
        assert bool(declared.bounds) == (declared.kind is catalogue.Kind.HISTOGRAM)


def test_admitted_label_sets_stay_admitted() -> None:
    """A set that was admitted keeps its series however many come after it."""
    limiter = LabelSetLimiter(2)
    sets = [("a",), ("b",), ("c",), ("a",), ("d",), ("b",)]
    admitted = [limiter.admit(labels, lambda _: ("other",)) for labels in sets]
    assert admitted == [("a",), ("b",), ("other",), ("a",), ("other",), ("b",)]


def test_a_later_run_keeps_a_project_active() -> None:
    """A project leaves the window a window's length after its latest run, not after its first."""
    clock = Clock(0.0)
    projects = ActiveProjects(100, clock)
    projects.seen("shop", None)
    projects.seen("blog", None)
    clock.now = 60
    projects.seen("shop", None)
    clock.now = 101
    projects.expire()
    assert projects.count == 1
    clock.now = 159
    projects.expire()
    assert projects.count == 1
    clock.now = 160
    projects.expire()
    assert projects.count == 0


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("a\nb", r"'a\nb'"),
        ([1, 2], "an array of 2 items"),
        ({"a": 1}, "an object of 1 members"),
        (10**300, "an integer of 997 bits"),
    ],
)
def test_what_came_is_rendered_shortly(value: object, rendered: str) -> None:
    """Scalars as JSON has them, containers by their size."""
    assert render(value) == rendered


def test_a_long_value_is_cut_visibly() -> None:
    """An echo never exceeds its bound, whatever was sent."""
    assert len(render("x" * 1_000_000)) == GOT_LIMIT
    assert render("x" * 1_000_000).endswith("…")


def test_looking_for_bad_numbers_takes_memory_in_proportion_to_the_event() -> None:
    """Many items below a long name don't cost the name's length each."""
    event: object = {"x" * 20_000: [[]] * 5_000}
    tracemalloc.start()
    try:
        strict_json.inspect(event)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
