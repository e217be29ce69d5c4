"""The names that dashboards and alerts use as they are, on a real Collector's Prometheus endpoint."""

from collections.abc import Iterator

import pytest
from opentelemetry.metrics import Meter
from support.collector import Collector, Exposition
from support.gateway_metrics import GATEWAY_METRICS
from support.senders import worker
from support.standard_metrics import STANDARD_METRICS, StandardMetric

pytestmark = pytest.mark.integration

USED = STANDARD_METRICS + GATEWAY_METRICS


@pytest.fixture(name="served", scope="module")
def _served(collector: Collector) -> Iterator[Exposition]:
    """A worker has sent one point of each."""
    resource = {
        "service.name": "ansflow-fastapi",
        "service.instance.id": "0",
        "deployment.environment.name": "of the resource",
    }
    with worker(collector.endpoint, resource) as sender:
        for metric in USED:
            _record(sender.meters.get_meter("standard"), metric)
        sender.flush()
        yield collector.scrape()


@pytest.mark.parametrize("metric", USED, ids=lambda metric: metric.name)
def test_an_instrument_is_served_under_its_standard_name(served: Exposition, metric: StandardMetric) -> None:
    """Name, type and labels come out of the instrument's name, kind, unit and attributes.

    An attribute keeps its value: none of the resource's is put in its place.
    """
    family = metric.name.removesuffix("_total") if metric.type == "counter" else metric.name
    assert served.families[family] == metric.type
    (sample,) = served.of(f"{metric.name}_count" if metric.type == "histogram" else metric.name)
    assert {label: sample.labels.get(label) for label in metric.labels} == dict.fromkeys(metric.labels, "x")
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
