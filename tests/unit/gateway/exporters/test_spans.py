"""Spans of runs on their way to a Collector: as they are, again until taken, and quietly."""

import asyncio
import logging
import time
from collections.abc import Sequence

import pytest
from ansflow_gateway.domain.events import RunKey
from ansflow_gateway.domain.traces import SpanFacts, run_span_id, task_span_id, trace_id
from ansflow_gateway.exporters.spans import BATCH, RunSpanExporter, build_span_exporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from support.otlp_receiver import OtlpReceiver, attributes_of
from support.polling import poll_until

RUN = RunKey("github", "github.com/o/r", "12", 3)
CAUSE = (b"\x01" * 16, b"\x02" * 8)
RESOURCE = Resource({"service.name": "ansflow-gateway", "service.instance.id": "gateway"})
SCOPE = InstrumentationScope("ansflow_gateway", "1")
NOBODY = "http://127.0.0.1:1/v1/traces"


class Waiting:
    """A source: spans in the order in which they came."""

    def __init__(self, spans: Sequence[SpanFacts]) -> None:
        self.spans = {str(place): span for place, span in enumerate(spans)}

    def due(self, most: int) -> Sequence[tuple[str, SpanFacts]]:
        """Return the oldest."""
        return list(self.spans.items())[:most]

    def exported(self, keys: Sequence[str]) -> None:
        """Forget some."""
        for key in keys:
            self.spans.pop(key, None)


def run_span(**changes: object) -> SpanFacts:
    """Make the span of a failed run; `changes` are fields."""
    fields: dict[str, object] = {
        "trace_id": trace_id(RUN),
        "span_id": run_span_id(RUN),
        "parent_id": None,
        "name": "BUILD build",
        "server": True,
        "start": 1_700_000_000.25,
        "end": 1_700_000_060.5,
        "attributes": {"cicd.pipeline.result": "failure", "ansflow.cicd.run.attempt": 3, "x": 0.5, "y": True},
        "error": "failure",
        "links": (CAUSE,),
    }
    return SpanFacts(**(fields | changes))  # type: ignore[arg-type]


def task_span(task: str) -> SpanFacts:
    """Make the span of a task."""
    return run_span(
        span_id=task_span_id(RUN, task),
        parent_id=run_span_id(RUN),
        name=task,
        server=False,
        error=None,
        links=(),
        attributes={},
    )


async def test_spans_arrive_as_they_are() -> None:
    """Ids, kinds, times, attributes, status and links go round through a real receiver unchanged."""
    source = Waiting([run_span(), task_span("lint")])
    with OtlpReceiver() as receiver:
        exporter = build_span_exporter(f"{receiver.endpoint}/v1/traces", source, RESOURCE, SCOPE)
        assert await exporter.push() is False
        exporter.close()
        run, task = receiver.spans()
        (resource,) = receiver.resources()
        (group,) = receiver.traces[0].resource_spans
    assert (run.trace_id, run.span_id, run.parent_span_id) == (trace_id(RUN), run_span_id(RUN), b"")
    assert (run.name, run.kind) == ("BUILD build", Span.SPAN_KIND_SERVER)
    assert (run.start_time_unix_nano, run.end_time_unix_nano) == (
        1_700_000_000_250_000_000,
        1_700_000_060_500_000_000,
    )
    assert attributes_of(list(run.attributes)) == {
        "cicd.pipeline.result": "failure",
        "ansflow.cicd.run.attempt": "3",
        "x": "0.5",
        "y": "True",
    }
    assert (run.status.code, run.status.message) == (Status.STATUS_CODE_ERROR, "failure")
    assert [(link.trace_id, link.span_id) for link in run.links] == [CAUSE]
    assert (task.trace_id, task.parent_span_id) == (run.trace_id, run.span_id)
    assert (task.span_id, task.kind) == (task_span_id(RUN, "lint"), Span.SPAN_KIND_INTERNAL)
    assert task.status.code == Status.STATUS_CODE_UNSET
    assert resource == {"service.name": "ansflow-gateway", "service.instance.id": "gateway"}
    assert [scope.scope.name for scope in group.scope_spans] == ["ansflow_gateway"]
    assert source.spans == {}
    assert exporter.state.failures == 0


async def test_many_spans_go_out_at_once_in_batches() -> None:
    """A backlog is pushed batch after batch without waiting between them, each span once, oldest first."""
    names = [f"task-{number}" for number in range(2 * BATCH + 3)]
    source = Waiting([task_span(name) for name in names])
    with OtlpReceiver() as receiver:
        exporter = RunSpanExporter(
            source, OTLPSpanExporter(f"{receiver.endpoint}/v1/traces"), "c", RESOURCE, SCOPE, poll_s=3600
        )
        running = asyncio.create_task(exporter.run())

        def all_gone() -> None:
            assert source.spans == {}

        await asyncio.to_thread(poll_until, all_gone, interval=0.01, timeout=20)
        running.cancel()
        exporter.close()
        assert [span.name for span in receiver.spans()] == names
        assert len(receiver.traces) == 3


async def test_spans_wait_until_the_collector_is_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost in an outage; it is told at its start and its end, and the state says why."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    source = Waiting([run_span()])
    gone = OTLPSpanExporter(NOBODY)
    with OtlpReceiver() as receiver:
        back = OTLPSpanExporter(f"{receiver.endpoint}/v1/traces")
        exporter = RunSpanExporter(source, Switched(gone, gone, back), "http://c", RESOURCE, SCOPE)
        assert await exporter.push() is False
        assert await exporter.push() is False
        assert (exporter.state.failures, len(source.spans)) == (2, 1)
        assert exporter.state.problem
        assert exporter.state.problem.startswith("http://c: ")
        assert await exporter.push() is False
        assert (exporter.state.failures, len(source.spans)) == (0, 0)
        assert exporter.failed == 2
        assert len(receiver.spans()) == 1
        exporter.close()
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        ("WARNING", "spans of runs can't be pushed; they are kept and pushed later"),
        ("INFO", "spans of runs are pushed again"),
    ]


class Switched(SpanExporter):
    """Exports through one exporter after the other."""

    def __init__(self, *exporters: SpanExporter) -> None:
        self._exporters = exporters
        self._next = iter(exporters)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export through the next."""
        return next(self._next).export(spans)

    def shutdown(self) -> None:
        """Shut all of them down."""
        for exporter in set(self._exporters):
            exporter.shutdown()


class Refusing(SpanExporter):
    """Fails at once, and notes when it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Fail."""
        self.asked.append(time.monotonic())
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Have nothing to end."""


async def test_failures_are_spaced_further_and_further_apart() -> None:
    """Each failure doubles the wait, less a half at most of it by chance."""
    refusing = Refusing()
    exporter = RunSpanExporter(
        Waiting([run_span()]), refusing, "c", RESOURCE, SCOPE, poll_s=0.05, jitter=lambda: 0.0
    )
    running = asyncio.create_task(exporter.run())

    def asked_enough() -> None:
        assert len(refusing.asked) >= 5

    await asyncio.to_thread(poll_until, asked_enough, interval=0.01, timeout=20)
    running.cancel()
    exporter.close()
    waits = [after - before for before, after in zip(refusing.asked, refusing.asked[1:], strict=False)]
    least = [0.05, 0.1, 0.2, 0.4]
    assert all(wait >= expected for wait, expected in zip(waits, least, strict=False))


async def test_what_otlp_cant_carry_holds_nothing_up() -> None:
    """Huge integers, lone surrogates and odd times are made into what comes nearest, and arrive."""
    odd = run_span(
        name="a\ud800", error="b\udfff", start=-5.0, end=1e300, attributes={"n": 2**70, "t": "\ud800"}
    )
    source = Waiting([odd, task_span("lint")])
    with OtlpReceiver() as receiver:
        exporter = build_span_exporter(f"{receiver.endpoint}/v1/traces", source, RESOURCE, SCOPE)
        await exporter.push()
        exporter.close()
        span, _ = receiver.spans()
    assert (span.name, span.status.message) == ("a?", "b?")
    assert attributes_of(list(span.attributes)) == {"n": str(2**70), "t": "?"}
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (0, 18 * 10**18)
    assert source.spans == {}


async def test_the_end_interrupts_a_push_that_is_being_tried_again() -> None:
    """Closing doesn't wait for the retries of a Collector that is gone; the span stays with its source."""
    source = Waiting([run_span()])
    exporter = build_span_exporter(NOBODY, source, RESOURCE, SCOPE)
    pushing = asyncio.create_task(exporter.push())
    await asyncio.sleep(0.2)
    assert exporter.state.under_way
    began = time.monotonic()
    exporter.close()
    await pushing
    assert time.monotonic() - began < 2.0
    assert len(source.spans) == 1
