"""The standard names that dashboards and alerts use, on a real Collector's Prometheus endpoint."""

from collections.abc import Iterator

import pytest
from opentelemetry.metrics import Meter
from support.collector import Collector, Exposition
from support.senders import worker
from support.standard_metrics import STANDARD_METRICS, StandardMetric

pytestmark = pytest.mark.integration


@pytest.fixture(name="served", scope="module")
def _served(collector: Collector) -> Iterator[Exposition]:
    """A worker has sent one point of each."""
    resource = {"service.name": "ansflow-fastapi", "service.instance.id": "0"}
    with worker(collector.endpoint, resource) as sender:
        for metric in STANDARD_METRICS:
            _record(sender.meters.get_meter("standard"), metric)
        sender.flush()
        yield collector.scrape()


@pytest.mark.parametrize("metric", STANDARD_METRICS, ids=lambda metric: metric.name)
def test_an_instrument_is_served_under_its_standard_name(served: Exposition, metric: StandardMetric) -> None:
    """Name, type and labels come out of the instrument's name, kind, unit and attributes."""
    family = metric.name.removesuffix("_total") if metric.type == "counter" else metric.name
    assert served.families[family] == metric.type
    (sample,) = served.of(f"{metric.name}_count" if metric.type == "histogram" else metric.name)
    assert metric.labels <= sample.labels.keys()
    assert sample.value == 1


def _record(meter: Meter, metric: StandardMetric) -> None:
    attributes = dict.fromkeys(metric.attributes, "x")
    match metric.kind:
        case "counter":
            meter.create_counter(metric.instrument, metric.unit).add(1, attributes)
        case "up_down_counter":
            meter.create_up_down_counter(metric.instrument, metric.unit).add(1, attributes)
        case "gauge":
            meter.create_gauge(metric.instrument, metric.unit).set(1, attributes)
        case "histogram":
            meter.create_histogram(metric.instrument, metric.unit).record(1, attributes)
