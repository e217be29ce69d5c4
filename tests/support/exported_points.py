"""The data points of any metric that a receiver was sent."""

from collections.abc import Iterator
from typing import Any

from support.otlp_receiver import Attributes, OtlpReceiver, attributes_of

Point = tuple[str, Attributes, Any]
"""An instance, the attributes, and the data point."""


def points(receiver: OtlpReceiver, name: str) -> Iterator[Point]:
    """Give all points of a metric that were received, the oldest first."""
    for request in list(receiver.metrics):
        for group in request.resource_metrics:
            instance = attributes_of(list(group.resource.attributes))["service.instance.id"]
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        data = getattr(metric, metric.WhichOneof("data") or "sum")
                        for point in data.data_points:
                            yield instance, attributes_of(list(point.attributes)), point


def newest(receiver: OtlpReceiver, name: str, since_ns: int = 0) -> dict[tuple[str, ...], Any]:
    """Give the newest point of each series since a moment, by instance and attribute values."""
    return {
        (instance, *attributes.values()): point
        for instance, attributes, point in points(receiver, name)
        if point.time_unix_nano >= since_ns
    }
