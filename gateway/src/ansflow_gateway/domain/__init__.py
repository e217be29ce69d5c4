"""What the gateway is about, free of HTTP and of telemetry: standard library only."""
