"""The table of aggregates."""

from collections import Counter

from ansflow_gateway.domain.labels import OVERFLOW
from ansflow_gateway.meters import business as b
from ansflow_gateway.meters.offenders import CAPACITY, Offenders
from ansflow_gateway.meters.points import HistogramPoint
from ansflow_gateway.meters.table import Table
from hypothesis import given
from hypothesis import strategies as st

T = 1_800_000_000.0


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["success", "failed"]))),
    st.integers(1, 12),
)
def test_totals_are_exact_at_any_limit(calls: list[tuple[str, str]], limit: int) -> None:
    """Whatever overflows, the sum of all series is the number of calls, by outcome too."""
    table = Table(b.METERS, limit)
    for labels in calls:
        table.add(b.INTEGRATION_CALLS, labels, 1, T)
    series = table.series(b.INTEGRATION_CALLS)
    assert len(series) <= max(limit + 1, 1 + b.INTEGRATION_CALLS.overflows)
    found: Counter[str] = Counter()
    for each in series:
        assert isinstance(each.point, int | float)
        found[each.labels[1]] += int(each.point)
    assert found == Counter(status for _, status in calls)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_histogram_is_what_its_measurements_are(values: list[float]) -> None:
    """Count, sum, extremes, and each bucket: a bound is in the bucket below it, as Prometheus has it."""
    table = Table(b.METERS, 10)
    for value in values:
        table.record(b.INTEGRATION_DURATION, ("slack", "success", ""), value, T)
    point = table.value(b.INTEGRATION_DURATION, ("slack", "success", ""))
    assert isinstance(point, HistogramPoint)
    bounds = (*b.CALL_BOUNDS, float("inf"))
    expected = [
        sum(1 for value in values if low < value <= high)
        for low, high in zip((-1.0, *bounds), bounds, strict=False)
    ]
    assert list(point.buckets) == expected
    assert (point.count, point.minimum, point.maximum) == (len(values), min(values), max(values))
    assert abs(point.sum - sum(values)) <= 1e-9 * sum(values)


def test_subscribers_learn_of_each_change_once() -> None:
    """All that is there at first, then what changed since, a removed series among it."""
    table = Table(b.METERS, 10)
    table.add(b.USER_ACTIVITY, ("deploy", "admin"), 1, T)
    changes = table.subscribe()
    assert [each.labels for each in changes.drain()] == [("deploy", "admin")]
    assert changes.drain() == []
    table.set(b.PROJECT_STORAGE, ("p",), 1.0, T)
    table.remove(b.PROJECT_STORAGE, ("p",))
    (gone,) = changes.drain()
    assert gone.removed


def test_what_is_active_is_taken_from_where_it_was_counted() -> None:
    """A step beyond the limit goes to the overflow, and its opposite too, though there is room by then."""
    table = Table(b.METERS, 1)
    first = table.adjust(b.RUN_ACTIVE, ("a", "executing"), 1, T)
    second = table.adjust(b.RUN_ACTIVE, ("b", "executing"), 1, T)
    assert (first, second) == (("a", "executing"), ("__overflow__", "__overflow__"))
    table.adjust(b.RUN_ACTIVE, first, -1, T)
    table.expire(T + 1)
    table.adjust(b.RUN_ACTIVE, second, -1, T)
    assert [each.point for each in table.series(b.RUN_ACTIVE)] == [0]


def test_the_worst_offenders_are_found_in_bounded_memory() -> None:
    """Of twenty thousand label sets, those that come often are found, with counts that are no less."""
    offenders = Offenders()
    for number in range(20_000):
        offenders.seen((f"once-{number}",))
        offenders.seen(("often",))
    assert offenders.total == 40_000
    (labels, count), *_ = offenders.top(3)
    assert labels == ("often",)
    assert 20_000 <= count <= 20_000 + 40_000 // CAPACITY


def test_the_overflows_name_brings_no_series_beyond_the_limit() -> None:
    """A producer may call a project what the overflow is called: it is a label like any other."""
    table = Table(b.METERS, 10)
    for number in range(1000):
        table.add(b.DEPLOYMENTS, (OVERFLOW, f"env-{number}", "deployed"), 1, T)
        table.add(b.DEPLOYMENTS, (f"project-{number}", OVERFLOW, "failed"), 1, T)
        table.set(b.DORA_LEAD_TIME, (OVERFLOW, f"env-{number}", "7d"), 1, T)
    series = table.series(b.DEPLOYMENTS)
    assert len(series) <= 11
    assert sum(each.point for each in series if isinstance(each.point, int)) == 2000
    assert len(table.series(b.DORA_LEAD_TIME)) <= 11


def test_a_removed_overflow_makes_no_room() -> None:
    """It had no place of the limit; nor is it refused one when all are taken."""
    table = Table(b.METERS, 5)
    overflow = (OVERFLOW, OVERFLOW, "7d")
    for number in range(10):
        table.set(b.DORA_LEAD_TIME, (f"project-{number}", "production", "7d"), 1, T)
        table.set(b.DORA_LEAD_TIME, overflow, 1, T)
        assert table.value(b.DORA_LEAD_TIME, overflow) == 1
        table.remove(b.DORA_LEAD_TIME, overflow)
    assert {each.labels[0] for each in table.series(b.DORA_LEAD_TIME)} == {
        "project-0",
        "project-1",
        "project-2",
    }
