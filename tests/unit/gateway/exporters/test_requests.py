"""Cutting metrics into requests: nothing lost, nothing twice, none too large."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from ansflow_gateway.exporters.requests import MOST_BYTES, split
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

NOW = 1_800_000_000_000_000_000
BIG = 2**62

TEXTS = st.text(st.sampled_from("ab\0é☃\U0001f600"), max_size=40)
VALUES = st.one_of(
    TEXTS, st.booleans(), st.integers(-BIG, BIG), st.floats(allow_nan=False), st.lists(TEXTS, max_size=4)
)
ATTRIBUTES = st.dictionaries(TEXTS.filter(bool), VALUES, max_size=5)
EXEMPLARS = st.lists(
    st.builds(
        Exemplar,
        filtered_attributes=ATTRIBUTES,
        value=st.floats(allow_nan=False),
        time_unix_nano=st.just(NOW),
        span_id=st.just(2**64 - 1),
        trace_id=st.just(2**128 - 1),
    ),
    max_size=4,
)
NUMBERS = st.builds(
    NumberDataPoint,
    ATTRIBUTES,
    st.just(NOW),
    st.just(NOW),
    st.one_of(st.integers(-BIG, BIG), st.floats(allow_nan=False)),
    EXEMPLARS,
)


@st.composite
def histograms(draw: st.DrawFn) -> HistogramDataPoint:
    """Draw a histogram's point."""
    bounds = sorted(draw(st.sets(st.floats(0, 1e6), max_size=20)))
    counts = draw(st.lists(st.integers(0, BIG), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return HistogramDataPoint(draw(ATTRIBUTES), NOW, NOW, BIG, 1.5, counts, bounds, 0.5, 2.5, draw(EXEMPLARS))


@st.composite
def exponential(draw: st.DrawFn) -> ExponentialHistogramDataPoint:
    """Draw an exponential histogram's point."""
    positive, negative = (
        Buckets(-BIG // 2**32, draw(st.lists(st.integers(0, BIG), max_size=30))) for _ in range(2)
    )
    return ExponentialHistogramDataPoint(
        draw(ATTRIBUTES), NOW, NOW, BIG, 1.5, 20, BIG, positive, negative, 0, 0.5, 2.5, draw(EXEMPLARS)
    )


CUMULATIVE = AggregationTemporality.CUMULATIVE
DATA = st.one_of(
    st.builds(Sum, st.lists(NUMBERS, max_size=12), st.just(CUMULATIVE), st.booleans()),
    st.builds(Gauge, st.lists(NUMBERS, max_size=12)),
    st.builds(Histogram, st.lists(histograms(), max_size=6), st.just(CUMULATIVE)),
    st.builds(ExponentialHistogram, st.lists(exponential(), max_size=4), st.just(CUMULATIVE)),
)


@st.composite
def metrics_data(draw: st.DrawFn) -> MetricsData:
    """Draw metrics of some scopes under one resource."""
    scopes = [
        ScopeMetrics(
            InstrumentationScope(f"scope {number}", draw(st.none() | st.just("1"))),
            [
                Metric(f"metric {place}", draw(TEXTS), "1", draw(DATA))
                for place in range(draw(st.integers(0, 5)))
            ],
            "https://example/schema",
        )
        for number in range(draw(st.integers(0, 3)))
    ]
    return MetricsData([ResourceMetrics(Resource({"service.name": "s"}), scopes, "")])


def without_points(data: Any) -> Any:
    """Give what a metric's data say besides its points."""
    return replace(data, data_points=[])


def told(data: MetricsData) -> list[tuple[str, str, Any, str]]:
    """List all points, in order, each with its scope, its metric, and what the metric says besides."""
    return [
        (scope.scope.name, metric.name, without_points(metric.data), repr(point))
        for group in data.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


@settings(max_examples=80, deadline=None)
@given(metrics_data(), st.sampled_from((500, 1500, 5000, 10**6)))
def test_requests_have_every_point_once_and_no_more_bytes_than_they_may(data: MetricsData, most: int) -> None:
    """None is larger than was asked for, encoded, unless it is one point; scopes and metrics come once."""
    requests = list(split(data, most))
    assert [each for request in requests for each in told(request)] == told(data)
    for request in requests:
        (group,) = request.resource_metrics
        assert group.resource is data.resource_metrics[0].resource
        names = Counter((scope.scope.name, m.name) for scope in group.scope_metrics for m in scope.metrics)
        assert all(number == 1 for number in names.values())
        assert max(Counter(scope.scope.name for scope in group.scope_metrics).values(), default=1) == 1
        assert len(encode_metrics(request).SerializeToString()) <= most or len(told(request)) == 1


def test_a_request_is_filled_before_the_next_is_begun() -> None:
    """20,000 counters with the labels of a pipeline are a few requests, not many."""
    points = [
        NumberDataPoint({"ansflow.project.name": f"project-{n}", "cicd.pipeline.name": "b"}, NOW, NOW, n)
        for n in range(20_000)
    ]
    metric = Metric("test.calls", "", "{call}", Sum(points, CUMULATIVE, is_monotonic=True))
    scope = ScopeMetrics(InstrumentationScope("scope"), [metric], "")
    data = MetricsData([ResourceMetrics(Resource({}), [scope], "")])
    sizes = [len(encode_metrics(request).SerializeToString()) for request in split(data)]
    assert max(sizes) <= MOST_BYTES
    assert min(sizes[:-1]) > MOST_BYTES / 2
    (whole,) = split(data, 10**9)
    assert whole == data


@pytest.mark.parametrize("groups", [0, 1])
def test_nothing_is_one_request(groups: int) -> None:
    """What has no point goes as it is."""
    data = MetricsData([ResourceMetrics(Resource({}), [], "")] * groups)
    assert list(split(data)) == [data]
