"""Sending telemetry cheaply, for the process and for the event loop that shares its interpreter."""
