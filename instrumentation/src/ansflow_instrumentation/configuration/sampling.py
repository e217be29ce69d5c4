"""Which requests begin a trace, by path: `/checkout/*=1; GET /poll=0; *=0.05`.

OTEL_TRACES_SAMPLER decides on everything alike. A rule decides on a request that begins a trace here; one
that continues a caller's trace is sampled as the caller was, so that traces stay whole. Metrics count every
request.
"""

import fnmatch
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span, get_tracer_provider
from opentelemetry.util.types import Attributes

from ansflow_instrumentation.configuration.rules import Rules, read_rules

__all__ = ["SAMPLER_RULES_VARIABLE", "RequestSampler", "apply_sampler_rules", "read_sampler_rules"]

SAMPLER_RULES_VARIABLE = "ANSFLOW_TRACES_SAMPLER_RULES"
"""The share of traces that is kept, by path or by method and path."""

_PATHS = re.compile(r"(?:[A-Z]+ )?(?:/\S*|\*)")
"""`/orders/*`, `POST /orders`, `GET *`, `*`."""


class RequestSampler(Sampler):
    """Samples the requests that a rule names at its ratio, and all else as another sampler does.

    Args:
        rules: Ratios by path, or by method and path.
        otherwise: Decides on what no rule names, and on what has a parent.
    """

    def __init__(self, rules: Rules[float], otherwise: Sampler) -> None:
        self._otherwise = otherwise
        self._ratios = {ratio: TraceIdRatioBased(ratio) for ratio in rules.values.values()}
        # The most exact first: a path before a pattern, a longer pattern before a shorter one.
        ordered = sorted(rules.values.items(), key=lambda item: ("*" in item[0], -len(item[0])))
        self._rules = [
            (
                re.compile(fnmatch.translate(pattern if " " in pattern else f"* {pattern}")),
                self._ratios[ratio],
            )
            for pattern, ratio in ordered
        ]

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide on a span, as the SDK asks."""
        parent = get_current_span(parent_context).get_span_context()
        begins_trace = kind is SpanKind.SERVER and not parent.is_valid
        sampler = self._sampler_of(attributes) if begins_trace and attributes else self._otherwise
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def _sampler_of(self, attributes: Mapping[str, Any]) -> Sampler:
        method = attributes.get("http.request.method") or attributes.get("http.method")
        path = attributes.get("url.path") or str(attributes.get("http.target", "")).partition("?")[0]
        request = f"{method} {path}"
        return next((sampler for rule, sampler in self._rules if rule.match(request)), self._otherwise)

    def get_description(self) -> str:
        """Describe the sampler."""
        return f"RequestSampler({len(self._rules)} rules, {self._otherwise.get_description()})"


def read_sampler_rules(env: Mapping[str, str]) -> tuple[Rules[float], list[str]]:
    """Read the rules.

    Args:
        env: The process's environment.

    Returns:
        Ratios by path, and a sentence for each entry that is ignored.
    """
    return read_rules(env, SAMPLER_RULES_VARIABLE, _parse_ratio, names=_PATHS)


def _parse_ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not 0 <= ratio <= 1:
        raise ValueError("a ratio from 0 (none) to 1 (all)")
    return ratio


def apply_sampler_rules(rules: Rules[float]) -> None:
    """Put the rules before the sampler of the global tracer provider, which no tracer has asked yet.

    Args:
        rules: From `read_sampler_rules`.
    """
    provider: Any = get_tracer_provider()
    sampler = getattr(provider, "sampler", None)
    if rules.values and isinstance(sampler, Sampler):
        provider.sampler = RequestSampler(rules, sampler)
