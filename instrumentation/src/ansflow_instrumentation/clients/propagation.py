"""Puts a call's trace into its headers, at a fraction of the cost where that is one header.

Source: https://www.w3.org/TR/trace-context/#traceparent-header
"""

from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

from opentelemetry.baggage import get_all
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["propagate"]


def propagate(span: Span, context: Context, headers: MutableMapping[str, Any]) -> None:
    """Add what the global propagators say of a call to its headers.

    Args:
        span: The call's.
        context: In which the call was begun; its baggage goes along.
        headers: Of the request.
    """
    propagator = get_global_textmap()
    identity = span.get_span_context()
    if (
        identity.is_valid
        and not identity.trace_state
        and _is_usual(propagator)
        and not (context and get_all(context))
    ):
        headers["traceparent"] = (
            f"00-{identity.trace_id:032x}-{identity.span_id:016x}-{identity.trace_flags:02x}"
        )
    else:
        propagator.inject(headers, set_span_in_context(span, context))


@lru_cache(maxsize=8)
def _is_usual(propagator: TextMapPropagator) -> bool:
    """Tell whether a propagator writes traceparent, tracestate and baggage, and nothing else."""
    parts = propagator._propagators if type(propagator) is CompositePropagator else [propagator]
    kinds = [type(part) for part in parts]
    return TraceContextTextMapPropagator in kinds and all(
        kind in (TraceContextTextMapPropagator, W3CBaggagePropagator) for kind in kinds
    )
