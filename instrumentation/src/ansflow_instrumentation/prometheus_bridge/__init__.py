"""What an application records with prometheus_client goes out by OTLP as well; opt-in.

- `registry`: reads what this process has recorded: not other processes, and not what a fork has copied.
- `conversion`: makes OpenTelemetry's metrics of it.
- `producer`: adds them to each collection of the SDK.
"""
