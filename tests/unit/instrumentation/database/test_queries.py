"""What becomes of a query in different traces, with providers of the test's own."""

import logging
from collections.abc import Sequence

import pytest
from ansflow_instrumentation.database.queries import Database, Queries, database
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode

SHOP = database("postgresql", "shop", "db.internal", 5432)


class Telemetry:
    """Queries, and what is recorded of them."""

    def __init__(self, sampler: Sampler, limits: SpanLimits | None = None) -> None:
        self._spans = InMemorySpanExporter()
        self._points = InMemoryMetricReader()
        self.tracers = TracerProvider(sampler, span_limits=limits, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.queries = Queries(self.tracers, MeterProvider([self._points], shutdown_on_exit=False))

    def query(self, error: BaseException | None = None, target: Database = SHOP) -> None:
        """Record a query that took a quarter of a second."""
        self.queries.record(target, "SELECT * FROM things WHERE id = 7", 0.0, error, elapsed=0.25)

    def query_in_request(self, error: BaseException | None = None) -> None:
        """Record a query within a span."""
        with self.tracers.get_tracer("test").start_as_current_span("request"):
            self.query(error)

    def spans(self) -> list[ReadableSpan]:
        """Return the spans of queries."""
        return [span for span in self._spans.get_finished_spans() if span.kind is SpanKind.CLIENT]

    def points(self) -> Sequence[HistogramDataPoint]:
        """Return the points of their durations."""
        data = self._points.get_metrics_data()
        if data is None:
            return []
        (metric,) = (
            metric for rm in data.resource_metrics for scope in rm.scope_metrics for metric in scope.metrics
        )
        return [point for point in metric.data.data_points if isinstance(point, HistogramDataPoint)]


@pytest.mark.parametrize(
    ("sampler", "limits"),
    [
        (ParentBased(ALWAYS_ON), None),
        (ALWAYS_ON, None),
        (ParentBased(ALWAYS_ON), SpanLimits(max_attributes=5)),
    ],
    ids=["made by us", "made by the SDK", "within limits"],
)
def test_a_sampled_query_has_a_span_that_its_duration_points_to(
    sampler: Sampler, limits: SpanLimits | None
) -> None:
    """The span lies in the request's, took as long as the query, and is the exemplar of the duration."""
    telemetry = Telemetry(sampler, limits)
    telemetry.query_in_request()
    (span,) = telemetry.spans()
    assert span.name == "SELECT things"
    assert span.parent is not None
    assert span.context is not None
    assert span.context.trace_id == span.parent.trace_id
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 250_000_000
    assert span.status.status_code is StatusCode.UNSET
    assert len(span.attributes or {}) == (7 if limits is None else 5)
    (point,) = telemetry.points()
    assert [exemplar.span_id for exemplar in point.exemplars] == [span.context.span_id]
    assert point.sum == 0.25
    assert dict(point.attributes or {}) == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "server.address": "db.internal",
        "server.port": 5432,
        "db.operation.name": "SELECT",
    }


def test_a_query_that_is_not_sampled_is_timed_all_the_same() -> None:
    """In an unsampled request, and where nothing is sampled, there is a duration and no span."""
    telemetry = Telemetry(ParentBased(ALWAYS_OFF))
    telemetry.query_in_request()
    telemetry.query()
    assert telemetry.spans() == []
    (point,) = telemetry.points()
    assert point.count == 2


def test_a_query_outside_of_any_trace_begins_one() -> None:
    """A root span, as the sampler has it."""
    telemetry = Telemetry(ParentBased(ALWAYS_ON))
    telemetry.query()
    (span,) = telemetry.spans()
    assert span.parent is None


def test_suppressed_instrumentation_records_nothing() -> None:
    """What runs under OpenTelemetry's own suppression (an exporter, say) is not recorded."""
    telemetry = Telemetry(ParentBased(ALWAYS_ON))
    with suppress_instrumentation():
        telemetry.query()
    assert telemetry.spans() == []
    assert telemetry.points() == []


def test_an_error_is_named_and_its_message_kept_back() -> None:
    """The message of a database may quote values, so the span has the error's type only."""
    telemetry = Telemetry(ParentBased(ALWAYS_ON))
    telemetry.query_in_request(LookupError("Key (email)=(secret@example.org) already exists"))
    (span,) = telemetry.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "secret" not in span.to_json()
    (point,) = telemetry.points()
    assert (point.attributes or {})["error.type"] == "LookupError"


def test_a_failure_of_telemetry_is_one_warning_and_no_failed_query(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a span processor raises, the query's caller sees nothing of it."""

    class Broken(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            raise RuntimeError

    telemetry = Telemetry(ParentBased(ALWAYS_ON))
    with telemetry.tracers.get_tracer("test").start_as_current_span("request"):
        telemetry.tracers.add_span_processor(Broken())
        with caplog.at_level(logging.WARNING):
            telemetry.query()
            telemetry.query()
    assert caplog.messages.count("A database query could not be recorded") == 1
