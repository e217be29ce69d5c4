"""Totals that go from worker to worker, on what the real SDK collects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansflow_instrumentation.workers.carrying import carry_totals_on
from ansflow_instrumentation.workers.observed import BEGINS_WITH_PROCESS, observed_by
from ansflow_instrumentation.workers.totals import FORMAT, KEPT_FOR_S, MAX_CARRIED, Totals
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

NOW = 2_000_000_000.0


class Worker:
    """A worker's life: counts, and hands over."""

    def __init__(self, file: Path, *, now_s: float = 0, **options: Any) -> None:
        temporality = options.pop("temporality", None)
        self.reader = InMemoryMetricReader(preferred_temporality=temporality)
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False, **options)
        self.meter = self.provider.get_meter("shop", "1.0", schema_url="https://example.org/schema")
        self.totals = Totals(file, now_s, observed_by(self.provider, self.reader))

    def export(self) -> dict[str, dict[str, Any]]:
        """Collect, add the totals, and give the points by metric and `kind`."""
        collected = self.reader.get_metrics_data()
        assert isinstance(collected, MetricsData)
        return {
            metric.name: {str((p.attributes or {}).get("kind", "")): p for p in metric.data.data_points}
            for resource in self.totals.added_to(collected).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "group-1.0.json"


def test_sums_and_histograms_go_on(file: Path) -> None:
    """The second worker's first export is what the first one had, and its own on top, of the same start."""
    starts = []
    for life in (1, 2, 3):
        worker = Worker(file)
        worker.meter.create_counter("orders").add(2, {"kind": "a"})
        histogram = worker.meter.create_histogram("seconds", explicit_bucket_boundaries_advisory=[1, 5])
        histogram.record(life, {"kind": "a"})
        worker.export()
        worker.meter.create_counter("orders").add(1, {"kind": "a"})
        points = worker.export()
        starts.append(points["orders"]["a"].start_time_unix_nano)
        assert points["orders"]["a"].value == 3 * life
        seconds = points["seconds"]["a"]
        assert (seconds.count, seconds.sum, seconds.min, seconds.max) == (life, sum(range(life + 1)), 1, life)
        assert list(seconds.bucket_counts) == [1, life - 1, 0]
    assert len(set(starts)) == 1


def test_what_is_not_touched_yet_is_sent_as_it_was_left(file: Path) -> None:
    """Neither a series of a metric nor a whole metric is missing until a successor adds to it."""
    first = Worker(file)
    for kind in ("a", "b"):
        first.meter.create_counter("orders", unit="{order}").add(2, {"kind": kind})
        first.meter.create_histogram("seconds").record(1, {"kind": kind})
    left = first.export()
    second = Worker(file)
    second.meter.create_counter("orders", unit="{order}").add(1, {"kind": "a"})
    points = second.export()
    assert {kind: point.value for kind, point in points["orders"].items()} == {"a": 3, "b": 2}
    assert points["seconds"]["b"].count == 1
    assert points["orders"]["b"].time_unix_nano > left["orders"]["b"].time_unix_nano


def test_what_belongs_to_a_process_ends_with_it(file: Path) -> None:
    """Gauges and up-down counters are the living process's alone."""
    for _ in range(2):
        worker = Worker(file)
        worker.meter.create_up_down_counter("active").add(3)
        worker.meter.create_gauge("level").set(7)
        points = {name: series[""].value for name, series in worker.export().items()}
        assert points == {"active": 3, "level": 7}


def test_what_is_observed_is_as_it_is_observed(file: Path) -> None:
    """Rows of a table are not added up from worker to worker, whatever their name; the runtime's are."""

    def observe(_: CallbackOptions) -> Iterator[Observation]:
        yield Observation(1000)

    for life in (1, 2, 3):
        worker = Worker(file, views=[View(instrument_name="rows", name="table.rows")])
        worker.meter.create_observable_counter("rows", [observe])
        worker.provider.get_meter("another").create_counter("table.rows").add(1)
        worker.provider.get_meter(BEGINS_WITH_PROCESS).create_observable_counter("cpu", [observe])
        worker.meter.create_counter("orders").add(1)
        collected = worker.reader.get_metrics_data()
        assert isinstance(collected, MetricsData)
        (resource,) = worker.totals.added_to(collected).resource_metrics
        found = {
            (scope.scope.name, metric.name): metric.data.data_points[0].value  # type: ignore[union-attr]
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }
        assert found == {
            ("shop", "table.rows"): 1000,
            ("another", "table.rows"): life,
            (BEGINS_WITH_PROCESS, "cpu"): 1000 * life,
            ("shop", "orders"): life,
        }


def test_deltas_stand_for_themselves(file: Path) -> None:
    """With delta temporality there is nothing to carry on."""
    for _ in range(2):
        worker = Worker(file, temporality={Counter: AggregationTemporality.DELTA})
        worker.meter.create_counter("orders").add(2)
        assert worker.export()["orders"][""].value == 2


def test_other_buckets_are_another_histogram(file: Path) -> None:
    """After an upgrade that changes boundaries, the histogram begins anew."""
    for bounds in ((1.0,), (1.0, 2.0)):
        views = [View(instrument_name="seconds", aggregation=ExplicitBucketHistogramAggregation(bounds))]
        worker = Worker(file, views=views)
        worker.meter.create_histogram("seconds").record(1)
        assert worker.export()["seconds"][""].count == 1


def test_what_nobody_adds_to_is_forgotten(file: Path) -> None:
    """A series is carried on for an hour after its last change, not after its last export."""
    first = Worker(file)
    counter = first.meter.create_counter("orders")
    counter.add(1, {"kind": "old"})
    changed = first.export()["orders"]["old"].time_unix_nano / 1e9
    counter.add(1, {"kind": "new"})
    exported = first.export()["orders"]["new"].time_unix_nano / 1e9
    second = Worker(file, now_s=KEPT_FOR_S + (changed + exported) / 2)
    second.meter.create_counter("more").add(1)
    assert set(second.export()["orders"]) == {"new"}


def test_not_more_is_carried_on_than_a_metric_may_have(file: Path) -> None:
    """Attribute sets without end do not add up from worker to worker."""
    first = Worker(file)
    counter = first.meter.create_counter("orders")
    for number in range(MAX_CARRIED + 10):
        counter.add(1, {"kind": str(number)})
    first.export()
    second = Worker(file)
    second.meter.create_counter("more").add(1)
    assert len(second.export()["orders"]) == MAX_CARRIED


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}\n{', '{"format": 2}\n{"value": 1}'])
def test_an_unreadable_file_is_one_warning(
    file: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """Telemetry goes on from zero, whatever has become of the file."""
    file.write_text(content)
    worker = Worker(file)
    assert caplog.text.count("Reading what the worker before has counted failed") == 1
    worker.meter.create_counter("orders").add(1)
    assert worker.export()["orders"][""].value == 1
    assert json.loads(file.read_text().splitlines()[0]) == {"format": FORMAT}


def test_a_file_of_another_version_is_left_aside(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After an upgrade that changes the format, totals begin at zero without a word."""
    file.write_text('{"format": 99}')
    Worker(file)
    assert caplog.text == ""


def test_a_file_that_cannot_be_written_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Export goes on; only the successor begins at zero."""
    worker = Worker(tmp_path / "gone" / "group-1.0.json")
    worker.meter.create_counter("orders").add(1)
    for _ in range(2):
        assert worker.export()["orders"][""].value == 1
    assert caplog.text.count("cannot be written") == 1


def test_a_file_that_cannot_be_written_any_more_is_removed(file: Path) -> None:
    """Older sums than the last ones sent would be a fall that nobody takes for a reset: better none."""
    Path(f"{file}.draft").mkdir()
    file.write_text('{"format": 2}')
    worker = Worker(file)
    worker.meter.create_counter("orders").add(1)
    worker.export()
    assert not file.exists()


def test_no_draft_is_left_behind(file: Path) -> None:
    """What could not be put in place is removed: it may have filled the disk."""
    file.mkdir()
    worker = Worker(file)
    worker.meter.create_counter("orders").add(1)
    worker.export()
    assert not Path(f"{file}.draft").exists()


def test_totals_are_read_by_nobody_else(file: Path) -> None:
    """Attributes may tell what is nobody else's business."""
    worker = Worker(file)
    worker.meter.create_counter("orders").add(1)
    worker.export()
    assert file.stat().st_mode & 0o777 == 0o600


def test_scopes_are_told_apart_by_attributes_and_schema(file: Path) -> None:
    """Two libraries' scopes of one name and version keep their own sums, touched or not."""
    kinds: list[tuple[str, Any]] = [("a", None), ("b", None), ("a", {"pool": "x"}), ("a", {"pool": "y"})]
    for life in (1, 2):
        worker = Worker(file)
        for amount, (schema, attributes) in enumerate(kinds[: len(kinds) // life], 1):
            meter = worker.provider.get_meter("lib", "1", schema_url=schema, attributes=attributes)
            meter.create_counter("orders").add(amount)
        collected = worker.reader.get_metrics_data()
        assert isinstance(collected, MetricsData)
        (resource,) = worker.totals.added_to(collected).resource_metrics
    found = [
        (scope.schema_url, dict(scope.scope.attributes or {}), scope.metrics[0].data.data_points[0].value)  # type: ignore[union-attr]
        for scope in resource.scope_metrics
    ]
    assert found == [("a", {}, 2), ("b", {}, 4), ("a", {"pool": "x"}, 3), ("a", {"pool": "y"}, 4)]


def test_a_provider_without_readers_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Where the SDK keeps them elsewhere, a successor begins at zero, and it is said."""
    provider = MeterProvider(shutdown_on_exit=False)
    carry_totals_on(provider)
    assert caplog.text == ""
    del provider._metric_readers
    carry_totals_on(provider)
    assert caplog.text.count("begins at zero") == 1


def test_attributes_of_every_type_are_told_apart(file: Path) -> None:
    """1, True and "1" are three series before and after; sequences stay what they were."""
    for life in (1, 2):
        worker = Worker(file)
        counter = worker.meter.create_counter("orders")
        for value in (1, True, "1", 1.0, ("a", "b")):
            counter.add(1, {"value": value})
        collected = worker.reader.get_metrics_data()
        assert isinstance(collected, MetricsData)
        (resource,) = worker.totals.added_to(collected).resource_metrics
        points = resource.scope_metrics[0].metrics[0].data.data_points
        assert [point.value for point in points] == [life] * 5  # type: ignore[union-attr]
    assert not list(file.parent.glob("*.draft"))
