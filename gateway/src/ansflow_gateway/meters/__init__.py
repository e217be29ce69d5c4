"""The instruments, and what is recorded with them; OpenTelemetry's API only."""
