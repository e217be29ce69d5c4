"""What the user may set of an instrument's stream: its buckets, its attributes, how many series it may have.

Upstream has no variables for this (opentelemetry-python#2751), and views cannot be merged: two views that
select one instrument make two streams. Here all settings of an instrument are merged into one view.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.sdk.metrics.view import (
    Aggregation,
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)

from ansflow_instrumentation.configuration.rules import (
    Rules,
    parse_buckets,
    parse_limit,
    parse_names,
    read_list,
    read_rules,
)

__all__ = [
    "BUCKETS_VARIABLE",
    "DROPPED_ATTRIBUTES_VARIABLE",
    "DROPPED_VARIABLE",
    "KEPT_ATTRIBUTES_VARIABLE",
    "LIMITS_VARIABLE",
    "LIMIT_OF_VIEW",
    "AttributeNames",
    "StreamSettings",
    "read_stream_settings",
]

BUCKETS_VARIABLE = "ANSFLOW_METRICS_BUCKETS"
"""Boundaries by histogram, in its unit: `http.server.*=0.1,1,10; db.*=exponential`."""

DROPPED_VARIABLE = "ANSFLOW_METRICS_DROPPED"
"""Comma-separated instruments or patterns that are not exported at all."""

DROPPED_ATTRIBUTES_VARIABLE = "ANSFLOW_METRICS_DROPPED_ATTRIBUTES"
"""Attributes by instrument that its series are summed over: `*=server.address,server.port`."""

KEPT_ATTRIBUTES_VARIABLE = "ANSFLOW_METRICS_KEPT_ATTRIBUTES"
"""Attributes by instrument that its series have, and no others."""

LIMITS_VARIABLE = "ANSFLOW_METRICS_CARDINALITY_LIMITS"
"""How many series an instrument may have: `1000; http.server.*=5000`."""

LIMIT_OF_VIEW = "ansflow_cardinality_limit"
"""Attribute of a view that has a limit of its own, as a configuration file can give it."""

DEFAULT_LIMIT = 2000
"""https://opentelemetry.io/docs/specs/otel/metrics/sdk/#configuration-1"""


class AttributeNames(frozenset[str]):
    """Attribute names that a view keeps: the SDK asks `name in names` of each attribute of a measurement.

    Attributes:
        kept: Names and patterns that are kept; None for all.
        dropped: Names and patterns that are not kept, whatever `kept` says.
    """

    kept: frozenset[str] | None
    dropped: frozenset[str]

    def __new__(cls, kept: frozenset[str] | None, dropped: frozenset[str]) -> "AttributeNames":
        """Make the set; what iterates over it sees the names that are kept."""
        names = super().__new__(cls, kept or ())
        names.kept = kept
        names.dropped = dropped
        return names

    def __contains__(self, name: object) -> bool:
        return (self.kept is None or _listed(name, self.kept)) and not _listed(name, self.dropped)


def _listed(name: object, patterns: frozenset[str]) -> bool:
    if frozenset.__contains__(patterns, name):
        return True
    return any("*" in pattern and fnmatch.fnmatchcase(str(name), pattern) for pattern in patterns)


@dataclass(frozen=True)
class StreamSettings:
    """All settings of metric streams.

    Attributes:
        buckets: Boundaries by histogram, None for exponential buckets; as a tuple of one, so that no entry
            is told from none.
        dropped: Patterns of the instruments that are not exported.
        dropped_attributes: Attribute names by instrument.
        kept_attributes: Attribute names by instrument.
        limits: Greatest number of series by instrument.
        limits_by_kind: The same by kind of instrument, as a configuration file's reader has them.
    """

    buckets: Rules[tuple[tuple[float, ...] | None]] = field(default_factory=lambda: Rules({}))
    dropped: tuple[str, ...] = ()
    dropped_attributes: Rules[frozenset[str]] = field(default_factory=lambda: Rules({}))
    kept_attributes: Rules[frozenset[str]] = field(default_factory=lambda: Rules({}))
    limits: Rules[int] = field(default_factory=lambda: Rules({}))
    limits_by_kind: Mapping[str, int] = field(default_factory=dict)

    def view(self, instrument: str, *, is_histogram: bool) -> View | None:
        """Merge what is set of one instrument.

        Args:
            instrument: Its name, in lower case.
            is_histogram: Whether buckets may be set of it.

        Returns:
            The view; None where nothing is set.
        """
        aggregation: Aggregation | None = None
        if any(fnmatch.fnmatchcase(instrument, pattern) for pattern in self.dropped):
            aggregation = DropAggregation()
        elif is_histogram and (buckets := self.buckets.of(instrument)):
            aggregation = (
                ExponentialBucketHistogramAggregation()
                if buckets[0] is None
                else ExplicitBucketHistogramAggregation(boundaries=buckets[0])
            )
        kept = self.kept_attributes.of(instrument)
        dropped = frozenset[str]().union(*self.dropped_attributes.all_of(instrument))
        names = AttributeNames(kept, dropped) if kept is not None or dropped else None
        if aggregation is None and names is None:
            return None
        return View(
            instrument_name=instrument,
            aggregation=aggregation,
            attribute_keys=names,  # type: ignore[arg-type] # the SDK asks for membership only
        )

    def limit(self, instrument: str, kind: str) -> int:
        """Tell how many series an instrument may have.

        Args:
            instrument: Its name, in lower case.
            kind: Its kind as a configuration file names it, `histogram` or `observable_counter`, say.

        Returns:
            The limit, the series of what overflows included.
        """
        return (
            self.limits.of(instrument)
            or self.limits_by_kind.get(kind)
            or self.limits_by_kind.get("default")
            or DEFAULT_LIMIT
        )


def read_stream_settings(env: Mapping[str, str]) -> tuple[StreamSettings, list[str]]:
    """Read the settings of metric streams.

    Args:
        env: The process's environment.

    Returns:
        The settings, and a sentence for each entry that is ignored.
    """
    buckets, bad_buckets = read_rules(env, BUCKETS_VARIABLE, lambda text: (parse_buckets(text),))
    dropped_attributes, bad_dropped = read_rules(env, DROPPED_ATTRIBUTES_VARIABLE, parse_names)
    kept_attributes, bad_kept = read_rules(env, KEPT_ATTRIBUTES_VARIABLE, parse_names)
    limits, bad_limits = read_rules(env, LIMITS_VARIABLE, parse_limit, bare=True)
    settings = StreamSettings(
        buckets,
        tuple(name.lower() for name in read_list(env, DROPPED_VARIABLE)),
        dropped_attributes,
        kept_attributes,
        limits,
    )
    return settings, [*bad_buckets, *bad_dropped, *bad_kept, *bad_limits]
