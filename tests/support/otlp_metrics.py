"""Looking metrics up in what an OTLP receiver has kept."""

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from support.otlp_receiver import OtlpReceiver

__all__ = ["newest_metric"]


def newest_metric(receiver: OtlpReceiver, name: str) -> Metric:
    """Give the last state of a metric that one process sent.

    Args:
        receiver: What it was sent to.
        name: The metric's.

    Raises:
        LookupError: If it never came.
    """
    for request in reversed(receiver.metrics):
        for group in request.resource_metrics:
            for scope in group.scope_metrics:
                found: list[Metric] = [metric for metric in scope.metrics if metric.name == name]
                if found:
                    return found[-1]
    raise LookupError(name)
