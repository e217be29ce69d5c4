"""What a program recorded of its calls to databases, caches and services, as it reached an OTLP receiver."""

import subprocess
from collections import Counter

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.otlp_receiver import Attributes, OtlpReceiver, attributes_of

__all__ = ["attributes_counted", "client_spans", "counted", "finished", "span_attributes"]


def finished(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what a program wrote, which ended well and without a complaint of telemetry's."""
    assert done.returncode == 0, done.stderr
    assert "failed; the application runs on" not in done.stderr, done.stderr
    return done.stdout


def attributes_counted(receiver: OtlpReceiver, name: str) -> list[tuple[Attributes, int]]:
    """Return a metric's newest points of each process and scope: attributes, and counts or sums."""
    newest: dict[tuple[str, str, str], tuple[Attributes, int]] = {}
    for request in receiver.metrics:
        for group in request.resource_metrics:
            instance = attributes_of(list(group.resource.attributes))["service.instance.id"]
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    if metric.name != name:
                        continue
                    for bucketed in metric.histogram.data_points:
                        attributes = attributes_of(list(bucketed.attributes))
                        key = (instance, scope.scope.name, repr(sorted(attributes.items())))
                        newest[key] = (attributes, bucketed.count)
                    for point in metric.sum.data_points:
                        attributes = attributes_of(list(point.attributes))
                        key = (instance, scope.scope.name, repr(sorted(attributes.items())))
                        newest[key] = (attributes, int(point.as_int or point.as_double))
    return list(newest.values())


def counted(receiver: OtlpReceiver, name: str, *keys: str) -> Counter[tuple[str | None, ...]]:
    """Sum a metric over processes: the values of these attributes, and how often they were recorded."""
    sums: Counter[tuple[str | None, ...]] = Counter()
    for attributes, count in attributes_counted(receiver, name):
        sums[tuple(attributes.get(key) for key in keys)] += count
    return sums


def client_spans(receiver: OtlpReceiver) -> list[Span]:
    """Return the CLIENT spans, in the order they were begun in."""
    spans = [span for span in receiver.spans() if span.kind == Span.SPAN_KIND_CLIENT]
    return sorted(spans, key=lambda span: span.start_time_unix_nano)


def span_attributes(span: Span) -> Attributes:
    """Return a span's attributes as text."""
    return attributes_of(list(span.attributes))
