"""All variables of this distro, for those who ask what there is."""

from collections.abc import Mapping

__all__ = ["VARIABLES"]

VARIABLES: Mapping[str, str] = {
    "ANSFLOW_BUSINESS_SERIES_LIMIT": "attribute sets that a business meter keeps",
    "ANSFLOW_DISABLED_INSTRUMENTATIONS": "instrumentations that are not loaded",
    "ANSFLOW_ENABLED_INSTRUMENTATIONS": "the only instrumentations that are loaded",
    "ANSFLOW_FLUSH_TIMEOUT": "ms for the flush at a server's end",
    "ANSFLOW_HTTP_INSTRUMENTATION": "fast, or contrib for OpenTelemetry's own of requests",
    "ANSFLOW_LOGS_QUIET_LOGGERS": "loggers of which only warnings and worse are exported",
    "ANSFLOW_METRICS_BUCKETS": "boundaries of histograms",
    "ANSFLOW_METRICS_CARDINALITY_LIMITS": "how many series an instrument may have",
    "ANSFLOW_METRICS_DROPPED": "instruments that are not exported",
    "ANSFLOW_METRICS_DROPPED_ATTRIBUTES": "attributes that series are summed over",
    "ANSFLOW_METRICS_KEPT_ATTRIBUTES": "the only attributes of series",
    "ANSFLOW_PROMETHEUS_BRIDGE": "whether metrics of prometheus_client are exported",
    "ANSFLOW_PROMETHEUS_BRIDGE_EXCLUDE": "those of them that are not",
    "ANSFLOW_STATE_DIR": "directory of what a worker leaves to its successor",
    "ANSFLOW_TRACES_SAMPLER_RULES": "which share of requests begins a trace, by path",
    "ANSFLOW_WEBSOCKET_MESSAGE_SPANS": "whether each WebSocket message is a span",
}
"""What each is, by its name. The README has a table of them."""
