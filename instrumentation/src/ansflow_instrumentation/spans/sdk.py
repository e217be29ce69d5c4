"""What the cheap spans know of the SDK: when they may stand in for a tracer's own, and how it decides.

A tracer that is not the SDK's, or is set up in a way that is not known here (another sampler, limits that the
attributes may exceed, the SDK's metrics about itself), makes its spans itself.
"""

from collections.abc import Callable
from random import getrandbits
from typing import Any

from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, StaticSampler, TraceIdRatioBased
from opentelemetry.trace import SpanContext, TraceFlags, TraceState
from opentelemetry.trace import Tracer as ApiTracer

__all__ = [
    "NO_STATE",
    "RANDOM",
    "SAMPLED",
    "follows_local_parent",
    "follows_remote_parent",
    "is_fast",
    "local_context",
    "root_decision",
    "span_ids",
    "trace_ids",
]

SAMPLED = TraceFlags.SAMPLED
RANDOM = TraceFlags.RANDOM_TRACE_ID
NO_STATE = TraceState.get_default()
_MASK = TraceIdRatioBased.TRACE_ID_LIMIT


def _tuple_context(trace_id: int, span_id: int, flags: TraceFlags, state: TraceState) -> SpanContext:
    """Make a valid local span context without the checks of its constructor, which take a microsecond."""
    context: SpanContext = tuple.__new__(SpanContext, (trace_id, span_id, False, flags, state, True))
    return context


def _checked_context(trace_id: int, span_id: int, flags: TraceFlags, state: TraceState) -> SpanContext:
    return SpanContext(trace_id, span_id, False, flags, state)


_TRIED = (1, 2, TraceFlags(SAMPLED), NO_STATE)
local_context = (
    _tuple_context
    if tuple(_tuple_context(*_TRIED)) == tuple(_checked_context(*_TRIED))
    else _checked_context  # another API
)
"""Makes the context of a span that begins here: trace id, span id, flags, state."""


def trace_ids(generator: IdGenerator) -> Callable[[], int]:
    """Give what makes trace ids.

    Args:
        generator: The tracer's.

    Returns:
        Its method, or the same without its loop.
    """
    return _random_trace_id if type(generator) is RandomIdGenerator else generator.generate_trace_id


def span_ids(generator: IdGenerator) -> Callable[[], int]:
    """Give what makes span ids.

    Args:
        generator: The tracer's.

    Returns:
        Its method, or the same without its loop.
    """
    return _random_span_id if type(generator) is RandomIdGenerator else generator.generate_span_id


def _random_trace_id() -> int:
    return getrandbits(128) or 1


def _random_span_id() -> int:
    return getrandbits(64) or 1


def is_fast(tracer: ApiTracer, attributes: int) -> bool:
    """Tell whether cheap spans may stand in for a tracer's own, as far as its limits go.

    Args:
        tracer: Any.
        attributes: How many attributes the spans may have.

    Returns:
        Whether it is the SDK's, has limits that they cannot exceed, and does not count its spans.
    """
    if type(tracer) is not Tracer:
        return False
    limits = tracer._span_limits
    return (
        (limits.max_span_attributes is None or limits.max_span_attributes >= attributes)
        and limits.max_span_attribute_length is None
        and isinstance(tracer._tracer_metrics, NoOpTracerMetrics)
    )


def root_decision(sampler: object) -> Callable[[int], bool] | None:
    """Give how a sampler decides on a trace that begins here.

    Args:
        sampler: The tracer's.

    Returns:
        The decision by trace id; None if the sampler is not one of the SDK's that look at nothing else.
    """
    if isinstance(sampler, ParentBased):
        if type(sampler).should_sample is not ParentBased.should_sample:
            return None
        sampler = sampler._root
    if isinstance(sampler, StaticSampler) and type(sampler).should_sample is StaticSampler.should_sample:
        if sampler._decision is Decision.RECORD_ONLY:
            return None
        sampled = sampler._decision is Decision.RECORD_AND_SAMPLE
        return lambda _: sampled
    if (
        isinstance(sampler, TraceIdRatioBased)
        and type(sampler).should_sample is TraceIdRatioBased.should_sample
    ):
        bound = sampler.bound
        return lambda trace_id: trace_id & _MASK < bound
    return None


def follows_remote_parent(sampler: object) -> bool:
    """Tell whether a sampler does as a parent in another process did.

    Args:
        sampler: The tracer's.

    Returns:
        Whether it does, and looks at nothing else.
    """
    return _follows(sampler, "_remote_parent_sampled", "_remote_parent_not_sampled")


def follows_local_parent(sampler: object) -> bool:
    """Tell whether a sampler does as a parent in this process did.

    Args:
        sampler: The tracer's.

    Returns:
        Whether it does, and looks at nothing else.
    """
    return _follows(sampler, "_local_parent_sampled", "_local_parent_not_sampled")


def _follows(sampler: Any, if_sampled: str, if_not: str) -> bool:
    if not isinstance(sampler, ParentBased) or type(sampler).should_sample is not ParentBased.should_sample:
        return False
    return all(
        type(delegate) is StaticSampler and delegate._decision is decision
        for delegate, decision in (
            (getattr(sampler, if_sampled), Decision.RECORD_AND_SAMPLE),
            (getattr(sampler, if_not), Decision.DROP),
        )
    )
