import random
import string
from collections.abc import Callable
from typing import Any

import pytest
from ansflow_instrumentation.export import span_encoding
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

KINDS = list(SpanKind)


def canonical(request: ExportTraceServiceRequest) -> list[bytes]:
    """One entry a span, with its resource and scope: how spans are grouped is not part of their meaning."""
    return sorted(
        group.resource.SerializeToString(deterministic=True)
        + group.schema_url.encode()
        + scope.scope.SerializeToString(deterministic=True)
        + scope.schema_url.encode()
        + span.SerializeToString(deterministic=True)
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


def recorded(record: Callable[[TracerProvider], None], **options: Any) -> list[ReadableSpan]:
    """Spans of a real SDK."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({"service.name": "shop", "n": 3}, schema_url="https://example.test/1"),
        shutdown_on_exit=False,
        **options,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    record(provider)
    return list(exporter.get_finished_spans())


def assert_same(spans: list[ReadableSpan]) -> None:
    """Compare with the stock encoder."""
    assert spans
    ours = ExportTraceServiceRequest.FromString(span_encoding.encode(spans))
    assert canonical(ours) == canonical(encode_spans(spans))


def arbitrary_value(chance: random.Random) -> Any:
    """A value of any kind that an attribute may have."""
    text = "".join(chance.choices(string.printable + "äß漢\U0001f600", k=chance.choice([0, 1, 9, 300])))
    number = chance.choice([0, 1, -1, 127, 128, 2**31, -(2**63), 2**63 - 1])
    real = chance.choice([0.0, -0.0, 1.0, 1e300, float("inf")])
    flag = chance.random() < 0.5
    return chance.choice([text, number, real, flag, [text, text], [1, 2, number], [flag], text.encode()])


@pytest.mark.parametrize("seed", range(20))
def test_arbitrary_spans_mean_what_the_stock_encoder_makes_of_them(seed: int) -> None:
    """Names, kinds, parents, attributes, events, links, states: all arrive as by the stock encoder."""
    chance = random.Random(seed)  # noqa: S311 # reproducible, not secret

    def record(provider: TracerProvider) -> None:
        tracers = [
            provider.get_tracer("a", "1", "https://example.test/2", {"x": 1}),
            provider.get_tracer("b"),
        ]
        for number in range(150):  # more than one breath
            parent = SpanContext(
                chance.getrandbits(128) | 1,
                chance.getrandbits(64) | 1,
                is_remote=chance.random() < 0.5,
                trace_flags=TraceFlags(1),
                trace_state=TraceState([("vendor", "1"), ("other", "2")])
                if chance.random() < 0.5
                else TraceState(),
            )
            context = set_span_in_context(NonRecordingSpan(parent)) if chance.random() < 0.5 else None
            span = chance.choice(tracers).start_span(
                chance.choice(["GET /a", "ünï", "x" * 500, ""]),
                context,
                chance.choice(KINDS),
                {f"k{i}": arbitrary_value(chance) for i in range(chance.randrange(15))},
                [Link(parent, {"l": 1})] if number % 7 == 0 else (),
            )
            if number % 5 == 0:
                span.add_event("happened", {"e": True})
            if number % 3 == 0:
                span.set_status(Status(chance.choice([StatusCode.OK, StatusCode.ERROR])))
            if number % 11 == 0:
                span.set_status(Status(StatusCode.ERROR, "it broke: ß"))
            span.end()

    assert_same(recorded(record))


def test_equal_values_of_different_types_stay_apart() -> None:
    """1, 1.0 and True are equal keys in Python, and three different values in OTLP, whichever came first."""

    def record(provider: TracerProvider) -> None:
        tracer = provider.get_tracer("t")
        for value in (1, 1.0, True, 0, 0.0, False, "1"):
            tracer.start_span("s", attributes={"k": value}).end()

    assert_same(recorded(record))


def test_what_limits_dropped_is_said() -> None:
    """The counts of dropped attributes, events and links arrive."""

    def record(provider: TracerProvider) -> None:
        span = provider.get_tracer("t").start_span("s", attributes={f"k{i}": i for i in range(9)})
        for i in range(5):
            span.add_event(f"e{i}")
        span.end()

    assert_same(recorded(record, span_limits=SpanLimits(max_span_attributes=3, max_events=0)))


def test_what_is_remembered_is_bounded() -> None:
    """Values that never repeat do not fill the memory."""

    def record(provider: TracerProvider) -> None:
        tracer = provider.get_tracer("t")
        for number in range(span_encoding.MAX_REMEMBERED + 100):
            tracer.start_span("s", attributes={"s": f"unique-{number}", "n": number}).end()

    assert_same(recorded(record))
    assert len(span_encoding._strings) <= span_encoding.MAX_REMEMBERED
    assert len(span_encoding._scalars) <= span_encoding.MAX_REMEMBERED


def test_long_values_are_not_remembered() -> None:
    """A page in an attribute is sent, and not kept."""
    before = len(span_encoding._strings)

    def record(provider: TracerProvider) -> None:
        for number in range(50):
            provider.get_tracer("t").start_span("s", attributes={"page": f"{number}" * 300}).end()

    assert_same(recorded(record))
    assert len(span_encoding._strings) == before
