"""What the gateway costs, measured beside Pushgateway, statsd_exporter and client_python in one run."""
