"""OpenTelemetry without this package's distro, for showing what it mends."""

VANILLA = {
    "OTEL_PYTHON_DISTRO": "none",
    "OTEL_PYTHON_CONFIGURATOR": "ansflow",  # the SDK's own, but for what the distro has prepared
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    # It would give a Django without settings at launch empty ones for good.
    "DJANGO_SETTINGS_MODULE": "django_shop.settings",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "click,system_metrics",
}
"""Variables that select it."""
