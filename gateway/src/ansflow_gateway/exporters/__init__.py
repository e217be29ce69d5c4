"""The ways out: OTLP to a Collector, and the page that Prometheus reads."""
