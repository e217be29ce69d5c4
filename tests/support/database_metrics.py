"""Pools and queries, as a program reported them."""

from collections import Counter

from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.otlp_receiver import OtlpReceiver, attributes_of
from support.recorded_calls import attributes_counted, span_attributes

__all__ = ["pools_at_each_export", "queries_by_trace", "query_counts"]


def pools_at_each_export(receiver: OtlpReceiver) -> list[dict[tuple[str, str], int]]:
    """Return connections by pool and state (used, idle, max), for each export of metrics.

    The farewell of a process that ends is none.
    """
    exports = []
    for request in receiver.metrics:
        connections = {}
        for group in request.resource_metrics:
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    if metric.name not in ("db.client.connection.count", "db.client.connection.max"):
                        continue
                    for point in metric.sum.data_points:
                        if point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
                            continue
                        attributes = attributes_of(list(point.attributes))
                        state = attributes.get("db.client.connection.state", "max")
                        connections[attributes["db.client.connection.pool.name"], state] = point.as_int
        exports.append(connections)
    return exports


def query_counts(receiver: OtlpReceiver) -> Counter[tuple[str, str, str]]:
    """Return how many queries were counted: by database, operation and error."""
    return Counter(
        {
            (a["db.namespace"], a["db.operation.name"], a.get("error.type", "")): count
            for a, count in attributes_counted(receiver, "db.client.operation.duration")
        }
    )


def queries_by_trace(receiver: OtlpReceiver) -> dict[str, list[tuple[str, str]]]:
    """Return the queries below each root span, by its name: span names and statements, in their order."""
    roots = {span.trace_id: span.name for span in receiver.spans() if not span.parent_span_id}
    queries: dict[str, list[tuple[str, str]]] = {name: [] for name in roots.values()}
    calls = [span for span in receiver.spans() if span.kind == Span.SPAN_KIND_CLIENT]
    for span in sorted(calls, key=lambda span: span.start_time_unix_nano):
        queries[roots[span.trace_id]].append((span.name, span_attributes(span).get("db.query.text", "")))
    return queries
